// An app as users write it. `node app.mjs MAJOR`: prints its port (APP_PORT, or any free one), then one JSON line for each thing that its functions do.
import http from "node:http";

const major = Number(process.argv[2]);
const { Inngest, NonRetriableError } = await import(major === 3 ? "inngest-v3" : "inngest");
const { serve } = await import(major === 3 ? "inngest-v3/node" : "inngest/node");

const tell = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const told_fetch = (url, options) => {
  const { pathname } = new URL(url);
  if (pathname.startsWith("/v0/runs/")) tell({ fetched: pathname });
  return fetch(url, options);
};
const client = new Inngest({ id: "app", fetch: told_fetch });
// v3 takes the trigger as an argument of its own.
const define = (options, trigger, handler) =>
  major === 3 ? client.createFunction(options, trigger, handler) : client.createFunction({ ...options, triggers: [trigger] }, handler);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const does = ({ event, step }, id) =>
  step.run(id, async () => {
    tell({ doing: `${event.data.id}/${id}` });
    await pause(event.data.delays?.[id] ?? 0);
    tell({ did: `${event.data.id}/${id}`, at: Date.now() });
    return id;
  });
class Declined extends NonRetriableError {
  name = "Declined";
}
const card_error = () => Object.assign(new Error("card refused", { cause: new Error("no money") }), { code: "E_CARD" });

let ended = 0; // runs of two-steps, for benchmarks
const functions = [
  // As on the cancellation page.
  define(
    { id: "schedule-reminder", cancelOn: [{ event: "tasks/deleted", if: "event.data.id == async.data.id" }] },
    { event: "tasks/reminder.created" },
    async ({ event, step }) => {
      await step.sleepUntil("sleep-until-remind-at-time", event.data.remindAt);
      await step.run("send-reminder-push", async () => {
        tell({ pushed: event.data.id });
      });
    },
  ),
  define(
    { id: "cleanup-after-cancel" },
    { event: "inngest/function.cancelled", if: "event.data.function_id == 'app-schedule-reminder'" },
    async ({ event, step }) => {
      await step.run("clean-up", () => tell({ cleaned: event.data.event.data.id }));
    },
  ),
  define({ id: "two-steps" }, { event: "two/steps" }, async ({ step }) => {
    const a = await step.run("a", () => ({ n: 1 }));
    const b = await step.run("b", () => ({ n: a.n + 1 }));
    ended += 1;
    return { sum: a.n + b.n };
  }),
  define({ id: "slow", cancelOn: [{ event: "slow/stop" }] }, { event: "slow/start" }, async ({ event, step }) => {
    await step.run("slow", async () => {
      tell({ executing: event.data.id });
      await pause(event.data.ms);
      return "done";
    });
    await step.run("next", () => tell({ next: event.data.id }));
  }),
  define({ id: "parallel" }, { event: "parallel/start" }, async ({ step }) => {
    const [a, b] = await Promise.all([step.run("a", () => 1), step.run("b", () => 2)]);
    const after = await step.run("after", () => a + b);
    return after;
  }),
  define({ id: "loop" }, { event: "loop/start" }, async ({ step }) => {
    let sum = 0;
    for (let i = 0; i < 5; i++) sum += await step.run("add", () => i);
    return sum;
  }),
  define({ id: "retries", retries: 2 }, { event: "retries/start" }, async ({ attempt, step }) => {
    const result = await step.run("flaky", () => {
      tell({ attempt });
      if (attempt < 2) throw new Error("not yet");
      return "at last";
    });
    return result;
  }),
  define({ id: "catches", retries: 0 }, { event: "catches/start" }, async ({ step }) => {
    try {
      await step.run("fails", () => {
        throw new Error("as written");
      });
    } catch (e) {
      return await step.run("caught", () => e.message);
    }
    return "not caught";
  }),
  define({ id: "fails", onFailure: async ({ error }) => tell({ failure: error.message }) }, { event: "fails/start" }, async () => {
    throw new NonRetriableError("never");
  }),
  define({ id: "waits" }, { event: "waits/start" }, async ({ step }) => {
    const paid = await step.waitForEvent("paid", { event: "order/paid", timeout: "1h", if: "event.data.id == async.data.id" });
    const late = await step.waitForEvent("late", { event: "order/never", timeout: "1s" });
    return { amount: paid.data.amount, late };
  }),
  define({ id: "approved", retries: 0 }, { event: "approval/asked" }, async ({ event, step }) => {
    const answer = await step.waitForSignal("answer", { signal: `approval/${event.data.id}`, timeout: "1h", onConflict: "fail" });
    const late = await step.waitForSignal("late", { signal: "never", timeout: "1s", onConflict: "replace" });
    return { answer, late };
  }),
  define({ id: "approves" }, { event: "approval/given" }, async ({ event, step }) => {
    await step.sendSignal("give", { signal: `approval/${event.data.id}`, data: { by: event.data.by } });
  }),
];
functions.push(
  define({ id: "parent" }, { event: "parent/start" }, async ({ step }) => {
    const child = functions.find((f) => f.id() === "two-steps");
    const result = await step.invoke("call", { function: child, data: {} });
    return result.sum;
  }),
);
const chained = (context) => Promise.all([does(context, "a"), does(context, "b").then(() => does(context, "b2")), context.step.sleep("nap", "3s")]);
// What is optimized goes on when all parallel steps have settled: the default of v4, not of v3.
for (const [way, optimizeParallelism] of [["optimized", true], ["plain", false]]) {
  functions.push(
    define({ id: `together-${way}`, retries: 0, optimizeParallelism }, { event: `together/${way}` }, (context) =>
      Promise.all(["a", "b", "c"].map((id) => does(context, id))),
    ),
    define({ id: `chained-${way}`, retries: 0, optimizeParallelism }, { event: `chained/${way}` }, chained),
  );
}
if (major === 4) {
  const grouped = (context) => context.group.parallel(() => chained(context));
  functions.push(define({ id: "chained-group", retries: 0 }, { event: "chained/group" }, grouped));
}
const fails_once = ({ attempt, event, step }) =>
  step.run("b", async () => {
    await pause(event.data.delays.b);
    tell({ tried: `${event.data.id}/b` });
    if (attempt === 0) throw new Error("not yet");
    return "b";
  });
functions.push(
  define({ id: "race", retries: 2, optimizeParallelism: true }, { event: "race/start" }, (context) => Promise.race([does(context, "a"), fails_once(context)])),
  define({ id: "all-or-caught", retries: 2, optimizeParallelism: true }, { event: "all/start" }, async (context) => {
    const refused = context.step.run("a", () => {
      throw new NonRetriableError("never");
    });
    try {
      await Promise.all([refused, fails_once(context)]);
    } catch {
      return "caught";
    }
    return "not caught";
  }),
  define({ id: "four-steps" }, { event: "four/steps" }, async (context) => {
    const done = [];
    for (const id of ["1", "2", "3", "4"]) done.push(await does(context, id));
    return done;
  }),
  define(
    {
      id: "card",
      retries: 0,
      onFailure: ({ error, event }) =>
        tell({ refused: event.data.event.data.id, message: error.message, stack: error.stack, cause: error.cause?.message, code: error.code }),
    },
    { event: "card/charged" },
    async ({ event, step }) => {
      if (!event.data.inStep) throw card_error();
      await step.run("charge", () => {
        throw card_error();
      });
    },
  ),
  define(
    { id: "declines", onFailure: ({ event }) => tell({ declined: event.data.event.data.id, by: event.data.event.name }) },
    { event: "declines/start" },
    () => {
      throw new Declined("over the limit");
    },
  ),
  define({ id: "asks" }, { event: "asks/start" }, async ({ event, step }) => {
    try {
      return await step.invoke("ask", { function: functions.find((f) => f.id() === "declines"), data: { id: event.data.id } });
    } catch ({ name, message }) {
      return { name, message };
    }
  }),
  define(
    {
      id: "batch",
      retries: 0,
      batchEvents: { maxSize: 2, timeout: "5s" },
      onFailure: ({ event }) => tell({ batch: (event.data.events ?? []).map((e) => e.data.id).join() }),
    },
    { event: "batch/start" },
    () => {
      throw new Error("never");
    },
  ),
  define({ id: "identified" }, { event: "identified/start" }, ({ requestId }) => ({ requestId })),
  define({ id: "sends" }, { event: "sends/start" }, ({ event, step }) => step.sendEvent("send", { name: "sent/by-step", data: { id: event.data.id } })),
  define(
    { id: "owned", cancelOn: [{ event: "owned/stop", if: "event.user.external_id == async.user.external_id" }] },
    { event: "owned/start", if: "event.v == '2'" },
    async ({ event, step }) => {
      const next = await step.waitForEvent("next", { event: "owned/next", timeout: "1h", if: "event.user.external_id == async.user.external_id" });
      if (event.data.stays) await step.sleep("stays", "1h");
      return { user: event.user, v: event.v, next: next.user };
    },
  ),
  define({ id: "receives" }, { event: "sent/by-step" }, ({ event }) => event.id),
  define({ id: "heavy" }, { event: "heavy/start" }, async ({ step }) => {
    const a = await step.run("a", () => "a".repeat(3_000_000));
    const b = await step.run("b", () => "b".repeat(3_000_000));
    await step.sleep("nap", "50ms"); // the next step is in another call, which needs the state
    return step.run("sum", () => a.length + b.length);
  }),
);

// v3 has no function without a trigger.
if (major === 4) functions.push(client.createFunction({ id: "only-invoked", triggers: [] }, ({ event }) => event.data));

const handler = serve({ client, functions });
const server = http.createServer((request, response) => (request.url === "/ended" ? response.end(String(ended)) : handler(request, response)));
server.listen(Number(process.env.APP_PORT ?? 0), "127.0.0.1", () => tell({ port: server.address().port }));
