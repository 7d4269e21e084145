"""A charging station that is not ours: PyPI `ocpp` plays one session against a central system.

    python ocpp_client.py URL ID PASSWORD ID_TAG

The library checks every answer against the official JSON schemas; this script checks what they
mean. Prints one JSON object and exits 0 only if every check holds.
"""

import asyncio
import base64
import json
import sys
from datetime import datetime, timedelta, timezone

import websockets
from ocpp.v16 import ChargePoint, call
from ocpp.v16.enums import (
    AuthorizationStatus,
    ChargePointErrorCode,
    ChargePointStatus,
    DataTransferStatus,
    Reason,
    RegistrationStatus,
)

CLOCK_APART_MAX = timedelta(minutes=2)
METER_START_WH = 120_000
METER_STOP_WH = 122_500

checks = []


def check(name, ok, detail=""):
    """Notes a check; what is wrong is shown, nothing stops."""
    checks.append({"name": name, "ok": bool(ok), "detail": str(detail)})


def text(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def is_now(written):
    at = datetime.fromisoformat(written.replace("Z", "+00:00"))
    return abs(datetime.now(timezone.utc) - at) < CLOCK_APART_MAX


def sampled(value, context):
    return [
        {
            "value": str(value),
            "context": context,
            "format": "Raw",
            "measurand": "Energy.Active.Import.Register",
            "location": "Outlet",
            "unit": "Wh",
        },
        {"value": "7.4", "context": context, "measurand": "Power.Active.Import", "unit": "kW"},
    ]


async def session(station, id_tag):
    """Boot, authorize, start, meter values, stop. A CALLERROR raises."""

    async def ask(request):
        return await station.call(request, suppress=False)

    async def status(name):
        answer = await ask(
            call.StatusNotification(
                connector_id=1,
                error_code=ChargePointErrorCode.no_error,
                status=name,
                timestamp=text(datetime.now(timezone.utc)),
            )
        )
        check(f"StatusNotification {name.value} is taken", answer is not None)

    boot = await ask(
        call.BootNotification(
            charge_point_vendor="PyPI ocpp",
            charge_point_model="Client",
            firmware_version="2.1.0",
        )
    )
    check("BootNotification is accepted", boot.status == RegistrationStatus.accepted, boot.status)
    check("BootNotification tells the time", is_now(boot.current_time), boot.current_time)
    check("BootNotification asks for heartbeats within 10 minutes", 0 < boot.interval <= 600,
          boot.interval)
    heartbeat = await ask(call.Heartbeat())
    check("Heartbeat tells the time", is_now(heartbeat.current_time), heartbeat.current_time)

    await status(ChargePointStatus.available)
    await status(ChargePointStatus.preparing)

    known = await ask(call.Authorize(id_tag=id_tag))
    check("a known tag is accepted",
          known.id_tag_info["status"] == AuthorizationStatus.accepted, known.id_tag_info["status"])
    unknown = await ask(call.Authorize(id_tag="NOBODYS-TAG"))
    check("an unknown tag is invalid",
          unknown.id_tag_info["status"] == AuthorizationStatus.invalid,
          unknown.id_tag_info["status"])

    began = datetime.now(timezone.utc) - timedelta(minutes=30)
    request = call.StartTransaction(
        connector_id=1, id_tag=id_tag, meter_start=METER_START_WH, timestamp=text(began)
    )
    start = await ask(request)
    check("StartTransaction is accepted",
          start.id_tag_info["status"] == AuthorizationStatus.accepted, start.id_tag_info["status"])
    check("StartTransaction gives a positive number", start.transaction_id > 0,
          start.transaction_id)
    again = await ask(request)
    check("StartTransaction sent again gets the same number",
          again.transaction_id == start.transaction_id, again.transaction_id)
    await status(ChargePointStatus.charging)

    for minutes in (10, 20):
        at = began + timedelta(minutes=minutes)
        value = METER_START_WH + (METER_STOP_WH - METER_START_WH) * minutes // 30
        answer = await ask(
            call.MeterValues(
                connector_id=1,
                transaction_id=start.transaction_id,
                meter_value=[
                    {"timestamp": text(at), "sampled_value": sampled(value, "Sample.Periodic")}
                ],
            )
        )
        check(f"MeterValues after {minutes} minutes are taken", answer is not None)

    data = await ask(call.DataTransfer(vendor_id="org.example.unknown", message_id="Ping"))
    check("DataTransfer of an unknown vendor says so",
          data.status == DataTransferStatus.unknown_vendor_id, data.status)

    ended = began + timedelta(minutes=30)
    request = call.StopTransaction(
        transaction_id=start.transaction_id,
        id_tag=id_tag,
        meter_stop=METER_STOP_WH,
        timestamp=text(ended),
        reason=Reason.local,
        transaction_data=[
            {"timestamp": text(ended), "sampled_value": sampled(METER_STOP_WH, "Transaction.End")}
        ],
    )
    stop = await ask(request)
    # OCPP 1.6, 6.50: idTagInfo is optional here.
    check("StopTransaction is accepted",
          not stop.id_tag_info or stop.id_tag_info["status"] == AuthorizationStatus.accepted,
          stop.id_tag_info)
    again = await ask(request)
    check("StopTransaction sent again gets the same answer",
          again.id_tag_info == stop.id_tag_info, again.id_tag_info)
    await status(ChargePointStatus.finishing)
    await status(ChargePointStatus.available)
    return start.transaction_id


async def main(url, identity, password, id_tag):
    credentials = base64.b64encode(f"{identity}:{password}".encode()).decode()
    connection = websockets.connect(
        f"{url.rstrip('/')}/{identity}",
        subprotocols=["ocpp1.6"],
        additional_headers={"Authorization": f"Basic {credentials}"},
        open_timeout=30,
        proxy=None,
    )
    transaction_id = None
    try:
        async with connection as socket:
            check("the subprotocol is negotiated", socket.subprotocol == "ocpp1.6",
                  socket.subprotocol)
            station = ChargePoint(identity, socket)
            listening = asyncio.create_task(station.start())
            transaction_id = await session(station, id_tag)
            listening.cancel()
    except Exception as error:  # whatever it is, it is a failed check and not a stack trace
        check("the session runs to its end", False, f"{type(error).__name__}: {error}")
    else:
        check("the session runs to its end", True)
    ok = all(one["ok"] for one in checks)
    report = {"client": "PyPI ocpp", "ok": ok, "transactionId": transaction_id, "checks": checks}
    print(json.dumps(report, indent=2))
    return 0 if ok else 1


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(*sys.argv[1:])))
