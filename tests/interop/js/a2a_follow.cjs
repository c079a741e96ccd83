// Follows a task with the JavaScript client of A2A. Arguments: URL of the server, the task's id, the
// transport (JSONRPC or HTTP+JSON), and the cursor to resume after, if any. Prints the task as it is
// read first, then a line of JSON for each message, then one for the end, all in the protocol's own JSON.
'use strict';

const { ClientFactory, ClientFactoryOptions, JsonRpcTransportFactory, RestTransportFactory } =
  require('@a2a-js/sdk/client');
const { StreamResponse, Task } = require('@a2a-js/sdk');

const [url, id, transport, after] = process.argv.slice(2);
const print = (line) => process.stdout.write(JSON.stringify(line) + '\n');

async function main() {
  const one = transport === 'JSONRPC' ? new JsonRpcTransportFactory() : new RestTransportFactory();
  const options = ClientFactoryOptions.createFrom(ClientFactoryOptions.default, {
    transports: [one],
    preferredTransports: [transport],
  });
  const client = await new ClientFactory(options).createFromUrl(url);
  try {
    print({ task: Task.toJSON(await client.getTask({ tenant: '', id, historyLength: undefined })) });
    const request = after ? { serviceParameters: { 'Last-Event-ID': after } } : undefined;
    for await (const message of client.resubscribeTask({ tenant: '', id }, request)) {
      print(StreamResponse.toJSON(message));
    }
    print({ end: true });
  } catch (error) {
    print({ refused: { name: error.name, message: String(error.message ?? error) } });
  }
}

main();
