// Follows a plan with the AG-UI client, as a frontend does: its own parser, schemas and check of the
// order decide what is accepted. Arguments: URL, and options as JSON {threadId, runId, headers, leaveAfter}.
// Prints a line of JSON for each event, for each warning, and one for the end; never anything else.
'use strict';

const { HttpAgent } = require('@ag-ui/client');

const [url, options = '{}'] = process.argv.slice(2);
const { threadId, runId, headers, leaveAfter } = JSON.parse(options);

const print = (line) => process.stdout.write(JSON.stringify(line) + '\n');
console.warn = (...told) => print({ warning: told.join(' ') });
console.error = (...told) => print({ warning: told.join(' ') });

async function main() {
  const agent = new HttpAgent({ url, threadId, headers });
  let events = 0;
  const subscriber = {
    onEvent: ({ event }) => {
      print({ event });
      events += 1;
      // A browser tab that is closed: the connection ends in the middle.
      if (events === leaveAfter) process.exit(0);
    },
  };
  try {
    const { result, newMessages } = await agent.runAgent({ runId }, subscriber);
    print({ end: { result, messages: newMessages } });
  } catch (error) {
    print({ refused: { message: String(error.message ?? error), status: error.status } });
  }
}

main();
