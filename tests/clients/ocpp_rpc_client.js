// A charging station that is not ours: npm `ocpp-rpc` in strict mode plays one session.
//
//     node ocpp_rpc_client.js URL ID PASSWORD ID_TAG
//
// In strict mode the library checks every message of both sides against the official JSON schemas;
// this script checks what the answers mean. Prints one JSON object and exits 0 only if every check
// holds.
'use strict';

const { RPCClient } = require('ocpp-rpc');

const CLOCK_APART_MAX_MS = 2 * 60 * 1000;
const METER_START_WH = 340000;
const METER_STOP_WH = 347400;

const checks = [];
const check = (name, ok, detail = '') =>
    checks.push({ name, ok: Boolean(ok), detail: typeof detail === 'string' ? detail : JSON.stringify(detail) });
const text = (ms) => new Date(ms).toISOString();
const isNow = (written) => Math.abs(Date.now() - Date.parse(written)) < CLOCK_APART_MAX_MS;
const isEmpty = (answer) => Object.keys(answer).length === 0;

const reading = (ms, wh, context) => ({
    timestamp: text(ms),
    sampledValue: [
        { value: (wh / 1000).toFixed(3), context, measurand: 'Energy.Active.Import.Register', unit: 'kWh' },
        { value: '16.0', context, measurand: 'Current.Import', phase: 'L1', unit: 'A' },
    ],
});

async function session(station, idTag) {
    const status = async (name) => {
        const request = { connectorId: 1, errorCode: 'NoError', status: name, timestamp: text(Date.now()) };
        check(`StatusNotification ${name} is taken`, isEmpty(await station.call('StatusNotification', request)));
    };

    const boot = await station.call('BootNotification', {
        chargePointVendor: 'npm ocpp-rpc',
        chargePointModel: 'Client',
    });
    check('BootNotification is accepted', boot.status === 'Accepted', boot.status);
    check('BootNotification tells the time', isNow(boot.currentTime), boot.currentTime);
    check('BootNotification asks for heartbeats within 10 minutes', boot.interval > 0 && boot.interval <= 600, boot.interval);
    const heartbeat = await station.call('Heartbeat', {});
    check('Heartbeat tells the time', isNow(heartbeat.currentTime), heartbeat.currentTime);

    await status('Available');
    await status('Preparing');

    const known = await station.call('Authorize', { idTag });
    check('a known tag is accepted', known.idTagInfo.status === 'Accepted', known.idTagInfo.status);
    const unknown = await station.call('Authorize', { idTag: 'NOBODYS-TAG' });
    check('an unknown tag is invalid', unknown.idTagInfo.status === 'Invalid', unknown.idTagInfo.status);

    const began = Math.floor((Date.now() - 40 * 60 * 1000) / 1000) * 1000;
    const startRequest = { connectorId: 1, idTag, meterStart: METER_START_WH, timestamp: text(began) };
    const start = await station.call('StartTransaction', startRequest);
    check('StartTransaction is accepted', start.idTagInfo.status === 'Accepted', start.idTagInfo.status);
    check('StartTransaction gives a positive number', start.transactionId > 0, start.transactionId);
    const startAgain = await station.call('StartTransaction', startRequest);
    check('StartTransaction sent again gets the same number',
        startAgain.transactionId === start.transactionId, startAgain.transactionId);
    const { transactionId } = start;
    await status('Charging');

    for (const minutes of [10, 20, 30]) {
        const wh = METER_START_WH + ((METER_STOP_WH - METER_START_WH) * minutes) / 40;
        const at = began + minutes * 60 * 1000;
        const meterValue = [reading(at, wh, 'Sample.Periodic')];
        const answer = await station.call('MeterValues', { connectorId: 1, transactionId, meterValue });
        check(`MeterValues after ${minutes} minutes are taken`, isEmpty(answer));
    }

    const data = await station.call('DataTransfer', { vendorId: 'org.example.unknown', messageId: 'Ping' });
    check('DataTransfer of an unknown vendor says so', data.status === 'UnknownVendorId', data.status);

    const ended = began + 40 * 60 * 1000;
    const stopRequest = {
        transactionId,
        idTag,
        meterStop: METER_STOP_WH,
        timestamp: text(ended),
        reason: 'EVDisconnected',
        transactionData: [
            reading(began, METER_START_WH, 'Transaction.Begin'),
            reading(ended, METER_STOP_WH, 'Transaction.End'),
        ],
    };
    const stop = await station.call('StopTransaction', stopRequest);
    // OCPP 1.6, 6.50: idTagInfo is optional here.
    check('StopTransaction is accepted', !stop.idTagInfo || stop.idTagInfo.status === 'Accepted', stop);
    const stopAgain = await station.call('StopTransaction', stopRequest);
    check('StopTransaction sent again gets the same answer',
        JSON.stringify(stopAgain) === JSON.stringify(stop), stopAgain);
    await status('Finishing');
    await status('Available');
    return transactionId;
}

async function main([endpoint, identity, password, idTag]) {
    const station = new RPCClient({
        endpoint: endpoint.replace(/\/+$/, ''),
        identity,
        password,
        protocols: ['ocpp1.6'],
        strictMode: true,
        reconnect: false,
        callTimeoutMs: 30 * 1000,
    });
    station.on('strictValidationFailure', ({ error }) =>
        check('every message has the form of its schema', false, error.message));
    let transactionId = null;
    try {
        await station.connect();
        check('the subprotocol is negotiated', station.protocol === 'ocpp1.6', station.protocol);
        transactionId = await session(station, idTag);
        check('the session runs to its end', true);
    } catch (error) {
        check('the session runs to its end', false, `${error.name}: ${error.message}`);
    }
    await station.close().catch(() => {});
    const ok = checks.every((one) => one.ok);
    console.log(JSON.stringify({ client: 'npm ocpp-rpc', ok, transactionId, checks }, null, 2));
    process.exitCode = ok ? 0 : 1;
}

if (process.argv.length !== 6) {
    console.error('usage: node ocpp_rpc_client.js URL ID PASSWORD ID_TAG');
    process.exitCode = 2;
} else {
    main(process.argv.slice(2));
}
