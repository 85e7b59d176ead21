// An app: serves its functions at /api/inngest. PORT: where; default: any free port. Prints its URL.
import http from "node:http";
import { serve } from "inngest/node";
import { inngest, scheduleReminder } from "./schedule_reminder.mjs";

const server = http.createServer(serve({ client: inngest, functions: [scheduleReminder] }));
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}/api/inngest`);
});
