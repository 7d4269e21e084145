"""MiniStack, with the differences from AWS that matter to Tallywatt put right.

Every block says what AWS does and MiniStack 1.5.33 does not. The blocks at the end only count or
disturb, for tests, and are off unless their environment variable is set.
"""

import json
import os
import re
import shutil
import signal
import socketserver
import sys
import threading
import time
from contextvars import ContextVar
from email.utils import parseaddr
from urllib.parse import parse_qs, quote

from ministack import app as ministack
from ministack.core import iam_actions
from ministack.core import iam_actions
from ministack.services import apigateway, cloudfront, lambda_svc, ses, ses_v2
from ministack.services.cloudformation import provisioners

# The Lambda runtime API answers /next in two writes: without this, Nagle holds the second 40 ms.
socketserver.StreamRequestHandler.disable_nagle_algorithm = True


# API Gateway: "$request.body.[2]" picks an element of a JSON array. MiniStack: object keys only.
def _evaluate(expression, text, fallback=apigateway._evaluate_route_selection):
    index = re.fullmatch(r"\$request\.body\.\[(\d+)\]", expression or "")
    if not index:
        return fallback(expression, text)
    try:
        action = json.loads(text)[int(index[1])]
    except (ValueError, LookupError, TypeError):
        return "$default"
    return action if isinstance(action, str) else "$default"


apigateway._evaluate_route_selection = _evaluate


# CloudFormation: has AWS::ApiGatewayV2::RouteResponse. MiniStack: answers without one, and refuses
# a template that has it.
def _create_route_response(logical_id, props, stack_name):
    route_id = props["RouteId"].rpartition("/")[2]
    data = {"routeResponseKey": props.get("RouteResponseKey", "$default")}
    _, _, body = apigateway._create_route_response(props["ApiId"], route_id, data)
    return json.loads(body)["routeResponseId"], {}


provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::RouteResponse"] = {
    "create": _create_route_response, "delete": lambda physical_id, props: None}


# API Gateway: answers the handshake with the Sec-WebSocket-Protocol that the $connect function
# returned, and chargers hang up without it; when the function fails, with its status. MiniStack:
# accepts without a subprotocol, and refuses with 403 whatever happened.
_handshake = ContextVar("handshake")


async def _invoke(*args, invoke=apigateway._invoke_ws_lambda, **kwargs):
    response = await invoke(*args, **kwargs)
    handshake = _handshake.get()
    handshake.setdefault("status", int((response or {}).get("statusCode", 200)))
    for name, value in ((response or {}).get("headers") or {}).items():
        handshake.setdefault(name.lower(), value)
    return response


apigateway._invoke_ws_lambda = _invoke


# API Gateway: connectedAt of a message is when its connection was made. MiniStack: when the message
# came.
def _context(api_id, route_key, stage, connection_id, *args, make=apigateway._ws_request_context):
    context = make(api_id, route_key, stage, connection_id, *args)
    if connection := apigateway._ws_connections.get(connection_id):
        context["connectedAt"] = connection["connectedAt"] * 1000
    return context


apigateway._ws_request_context = _context


# CloudFront: passes WebSockets through, its viewer-request function first. MiniStack: HTTP only.
# Gives the scope of the origin's request, or the status with which the function refused.
async def _through_cloudfront(scope):
    headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
    if ministack._parse_execute_api_url(headers.get("host", ""), scope["path"]):
        return scope
    for dist in cloudfront._distributions.values():
        config = cloudfront.parse_distribution_dataplane_config(dist)
        behavior = cloudfront._match_behavior(config, scope["path"])
        origin = config["origins"][behavior["target_origin_id"]]
        api_id, _, service = origin["domain_name"].partition(".execute-api.")
        function = behavior["functions"].get("viewer-request")
        if not service or not function:
            continue
        event = cloudfront._build_function_event(
            "viewer-request", dist["Id"], dist["DomainName"], "ws", "GET", scope["raw_path"].decode(),
            parse_qs(scope["query_string"].decode()), headers, scope["client"][0])
        request = await cloudfront._run_function(function, event)
        if "statusCode" in request:
            return int(request["statusCode"])
        query = "&".join(f"{quote(k)}={v['value']}" for k, v in request["querystring"].items())
        path = f"/_aws/execute-api/{api_id}{origin['origin_path']}{request['uri']}"
        return {**scope, "path": path, "query_string": query.encode()}
    return scope


async def app(scope, receive, send, app=ministack.app):
    if scope["type"] != "websocket":
        return await app(scope, receive, send)
    handshake = {}
    _handshake.set(handshake)

    async def refuse(status):
        await send({"type": "websocket.http.response.start", "status": status, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})

    scope = await _through_cloudfront(scope)
    if isinstance(scope, int):
        await receive()
        return await refuse(scope)

    async def reply(message):
        if message["type"] == "websocket.close" and handshake.get("status", 200) >= 300:
            return await refuse(handshake["status"])
        if message["type"] == "websocket.accept" and (protocol := handshake.get("sec-websocket-protocol")):
            message = {**message, "subprotocol": protocol}
        await send(message)

    await app(scope, receive, reply)


ministack.app = app


# IAM: a batch needs the permission of its single operation (sqs:SendMessage for SendMessageBatch).
# MiniStack: asks for a permission that AWS does not have.
def _iam_action(*args, extract=iam_actions.extract_iam_action, **kwargs):
    action = extract(*args, **kwargs)
    return action.removesuffix("Batch") if action and action.startswith("sqs:") else action


iam_actions.extract_iam_action = _iam_action


# Lambda: a stream's batch whose answer names a failed record is read again from that record on
# (ReportBatchItemFailures). MiniStack: ignores the answer, and the record is lost. As an error the
# whole batch is read again, which a consumer takes as normal.
def _execute(func, event, *args, execute=lambda_svc._execute_function, **kwargs):
    result = execute(func, event, *args, **kwargs)
    records = event.get("Records") if isinstance(event, dict) else None
    if records and records[0].get("eventSource") == "aws:dynamodb" and not result.get("error"):
        body = result.get("body")
        if isinstance(body, dict) and body.get("batchItemFailures"):
            return {**result, "error": True}
    return result


lambda_svc._execute_function = _execute


# IAM: a batch request to SQS needs the permission of the single one (there is no
# sqs:SendMessageBatch). MiniStack: asks for a permission named as the operation.
def _action_from_target(headers, action=iam_actions._action_from_target):
    named = action(headers)
    return named.removesuffix("Batch") if named and named.endswith("MessageBatch") else named


iam_actions._action_from_target = _action_from_target


# IAM: SendEmail is a permission on the identity that sends: the address, if that is one, or else its
# domain. MiniStack: on everything.
def _ses_resource(method, path, body, region, account_id, arn=iam_actions._ses_v2_resource_arn):
    if (method, path.rstrip("/")) != ("POST", "/v2/email/outbound-emails"):
        return arn(method, path, body, region, account_id)
    address = parseaddr(json.loads(body).get("FromEmailAddress", ""))[1]
    known = {*ses._identities, *ses_v2._identities}
    identity = address if address in known else address.rpartition("@")[2]
    return f"arn:aws:ses:{region}:{account_id}:identity/{identity}"


iam_actions._ses_v2_resource_arn = _ses_resource


# For tests: SQS delivers at least once; so deliver everything twice, the second time when the
# consumer has already answered the first.
if os.environ.get("TALLYWATT_DELIVER_TWICE") == "1":
    def _run_twice(esm, func_rec, event, *args, run=lambda_svc._run_sqs_batch):
        lambda_svc._execute_function(func_rec, event)
        run(esm, func_rec, event, *args)

    lambda_svc._run_sqs_batch = _run_twice


# For tests: one JSON line per AWS request that a function makes, and per invocation. A function's
# requests name it in the SDK's user agent ("app/<function>").
if os.environ.get("TALLYWATT_REQUEST_LOG"):
    _log = open(os.environ["TALLYWATT_REQUEST_LOG"], "a", buffering=1)

    def _write(**line):
        _log.write(json.dumps({"at": time.time(), **line}) + "\n")

    def _targets(operation, request):
        """Table or queue names, each as often as it has an item in the request."""
        if operation.startswith("Transact"):
            return [next(iter(item.values()))["TableName"] for item in request["TransactItems"]]
        if operation.startswith("BatchGet"):
            return [table for table, keys in request["RequestItems"].items() for _ in keys["Keys"]]
        if queue := request.get("QueueUrl"):
            return [queue.rpartition("/")[2]] * len(request.get("Entries", [1]))
        return [request.get("TableName") or request.get("SecretId") or ""]

    async def _dispatch(method, path, headers, body, *args, dispatch=ministack._dispatch_service_request):
        caller = re.search(r"\bapp/(\S+)", headers.get("x-amz-user-agent", "") or headers.get("user-agent", ""))
        target = headers.get("x-amz-target", "")
        answer = await dispatch(method, path, headers, body, *args)
        if caller and target:
            service, _, operation = target.partition(".")
            _write(kind="request", function=caller[1], service=service.partition("_")[0], operation=operation,
                   targets=_targets(operation, json.loads(body)), status=answer[0])
        return answer

    async def _connections(method, api_id, *args, call=apigateway.handle_connections_api, **kwargs):
        answer = await call(method, api_id, *args, **kwargs)
        _write(kind="request", function="", service="ExecuteApi", operation=f"{method} @connections",
               targets=[api_id], status=answer[0])
        return answer

    def _warm(func, event, request_id, run=lambda_svc._execute_function_provided_warm):
        started = time.monotonic()
        result = run(func, event, request_id)
        config = func.get("config") or func
        stack = config.get("Environment", {}).get("Variables", {}).get("STACK_NAME", "")
        name = config.get("FunctionName", "").removeprefix(stack + "-")
        route = (event.get("requestContext") or {}).get("routeKey") if isinstance(event, dict) else None
        _write(kind="invocation", function=name, route=route, ms=round((time.monotonic() - started) * 1000, 1),
               records=len(event.get("Records", [])) if isinstance(event, dict) else 0, error=bool(result.get("error")))
        return result

    ministack._dispatch_service_request = _dispatch
    apigateway.handle_connections_api = _connections
    lambda_svc._execute_function_provided_warm = _warm


# Whoever started us holds our stdin. When it ends, however it ends, so do we, the functions, and
# the folder that was ours.
def _end_with_stdin(folder):
    sys.stdin.buffer.read()
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    if folder := os.environ.get("TALLYWATT_END_WITH_STDIN"):
        threading.Thread(target=_end_with_stdin, args=(folder,), daemon=True).start()
    ministack.main()
