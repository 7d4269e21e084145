// CloudFront Function (viewer-request) in front of the chargers' WebSocket API.
//
// A charger connects to /ocpp/{chargePointId}; API Gateway's WebSocket APIs take no path after the
// stage. So the identity moves into the query string, and only from here: a query string that the
// client sent is dropped, or it could claim an identity beside its path.
function handler(event) {
  var request = event.request;
  var path = /^\/ocpp\/([^\/]+)$/.exec(request.uri);
  var chargePointId = null;
  try {
    chargePointId = path && decodeURIComponent(path[1]);
  } catch (malformed) {
    // A broken percent escape names nobody.
  }
  if (!chargePointId) {
    return { statusCode: 404, statusDescription: 'Not Found' };
  }
  request.uri = '/live';
  request.querystring = { chargePointId: { value: encodeURIComponent(chargePointId) } };
  return request;
}
