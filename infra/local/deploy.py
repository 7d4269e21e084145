"""Deploys infra/template.yaml: what `aws cloudformation package` and `deploy` do, without their waits.

Each function's folder is zipped once per build, goes to a bucket, and a change set is carried out.
Where to, and as whom, is told by the usual AWS_* environment variables. Prints the stack's outputs
as one line of JSON; says what it does on stderr.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

CODE = re.compile(r"CodeUri: \.\./target/lambda/([a-z0-9-]+)/")
POLL_SECONDS = 0.2


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--stack", required=True)
    options.add_argument("--template", type=Path, required=True)
    options.add_argument("--artifacts", type=Path, required=True, help="holds <function>/bootstrap")
    options.add_argument("--zips", type=Path, required=True, help="keeps zips from one run to the next")
    options.add_argument("--bucket", help="made when it is not there; <stack>-artifacts-<account> if not given")
    options.add_argument("--discard-code", action="store_true",
                         help="delete the zips from the bucket in the end: an emulator keeps them in memory")
    options.add_argument("parameters", nargs="*", metavar="Name=Value")
    options = options.parse_args()

    account = boto3.client("sts").get_caller_identity()["Account"]
    bucket = options.bucket or f"{options.stack}-artifacts-{account}"
    template = options.template.read_text()
    functions = CODE.findall(template)
    options.zips.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as pool:
        zips = dict(zip(functions, pool.map(lambda name: zipped(options, name), functions)))
        say(f"{len(zips)} functions, {sum(z.stat().st_size for z in zips.values()) >> 20} MB zipped")
        s3 = boto3.client("s3", config=Config(max_pool_connections=8))
        make_bucket(s3, bucket)
        list(pool.map(lambda code: upload(s3, bucket, code), zips.values()))
    say("code uploaded")

    packaged = CODE.sub(lambda m: f"CodeUri: s3://{bucket}/{zips[m[1]].name}", template)
    key = f"template-{hashlib.sha256(packaged.encode()).hexdigest()[:16]}.yaml"
    s3.put_object(Bucket=bucket, Key=key, Body=packaged.encode())
    url = f"{s3.meta.endpoint_url}/{bucket}/{key}"
    pairs = [parameter.split("=", 1) for parameter in options.parameters]
    parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in pairs]
    outputs = deploy(boto3.client("cloudformation"), options.stack, url, parameters)
    if options.discard_code:
        for code in zips.values():
            s3.delete_object(Bucket=bucket, Key=code.name)
    print(json.dumps(outputs))


def zipped(options, name):
    """The function's zip, made again only when the binary changed. Level 1: speed over size."""
    binary = options.artifacts / name / "bootstrap"
    stat = binary.stat()
    target = options.zips / f"{name}-{stat.st_mtime_ns}-{stat.st_size}.zip"
    if not target.exists():
        for old in options.zips.glob(f"{name}-[0-9]*-[0-9]*.zip"):
            old.unlink(missing_ok=True)
        half = target.with_suffix(f".{os.getpid()}")
        with zipfile.ZipFile(half, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.write(binary, "bootstrap")
        half.rename(target)
    return target


def upload(s3, bucket, code):
    with code.open("rb") as body:
        s3.put_object(Bucket=bucket, Key=code.name, Body=body)


def make_bucket(s3, bucket):
    region = s3.meta.region_name
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3.create_bucket(Bucket=bucket, **where)
    except ClientError as error:
        if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
            raise


def deploy(cloudformation, stack, template_url, parameters):
    standing = status(cloudformation, stack)
    kind = "CREATE" if standing in (None, "REVIEW_IN_PROGRESS") else "UPDATE"
    change = cloudformation.create_change_set(
        StackName=stack, ChangeSetName=f"deploy-{int(time.time())}", ChangeSetType=kind, TemplateURL=template_url,
        Parameters=parameters, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])["Id"]
    while True:
        made = cloudformation.describe_change_set(ChangeSetName=change)
        if not made["Status"].endswith(("PENDING", "IN_PROGRESS")):
            break
        time.sleep(POLL_SECONDS)
    if made["Status"] == "FAILED":
        reason = made.get("StatusReason", "")
        if "didn't contain changes" not in reason and "No updates" not in reason:
            sys.exit(f"change set failed: {reason}")
        say("nothing to change")
    else:
        say(f"{len(made.get('Changes', []))} or more resources to {kind.lower()}")
        cloudformation.execute_change_set(ChangeSetName=change)
        while (standing := status(cloudformation, stack)).endswith("IN_PROGRESS"):
            time.sleep(POLL_SECONDS)
        if standing not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            sys.exit(f"stack is {standing}:\n" + "\n".join(failures(cloudformation, stack)))
    stack = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def status(cloudformation, stack):
    try:
        return cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise


def failures(cloudformation, stack):
    for event in cloudformation.describe_stack_events(StackName=stack)["StackEvents"]:
        if event["ResourceStatus"].endswith("FAILED"):
            yield f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
