// An app: serves its functions at /api/inngest. HOST, PORT: where; default: this machine only, any free port. Prints its URL.
import http from "node:http";
import { serve } from "inngest/node";
import { inngest, scheduleReminder } from "./schedule_reminder.mjs";

const host = process.env.HOST ?? "127.0.0.1";
const server = http.createServer(serve({ client: inngest, functions: [scheduleReminder] }));
server.listen(Number(process.env.PORT ?? 0), host, () => {
  console.log(`http://${host}:${server.address().port}/api/inngest`);
});
