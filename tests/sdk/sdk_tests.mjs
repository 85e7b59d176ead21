// The real SDKs against the real server: node --test sdk_tests.mjs, with CAESURA naming the program. tests/sdk.sh calls it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";
import test from "node:test";

const program = process.env.CAESURA;

// A program whose lines are kept and waited for.
class child {
  constructor(command, args, env = {}, errors = "inherit") {
    this.lines = [];
    this.waiting = [];
    this.process = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", errors] });
    this.ended = new Promise((resolve) => this.process.on("exit", resolve));
    readline.createInterface({ input: this.process.stdout }).on("line", (line) => {
      this.lines.push(line);
      this.waiting = this.waiting.filter((w) => !w(line));
    });
  }
  line(matches, patience = 20_000) {
    const found = this.lines.find(matches);
    if (found) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no such line among ${JSON.stringify(this.lines)}`)), patience);
      this.waiting.push((line) => {
        if (!matches(line)) return false;
        clearTimeout(timer);
        resolve(line);
        return true;
      });
    });
  }
  told(key, value, patience) {
    return this.line((line) => line.startsWith("{") && JSON.parse(line)[key] === value, patience);
  }
  count(key, value) {
    return this.lines.filter((line) => line.startsWith("{") && JSON.parse(line)[key] === value).length;
  }
  async end(signal = "SIGTERM") {
    this.process.kill(signal);
    await this.ended;
  }
}

// As whoever calls the API sends it: the key's hexadecimal part hashed.
function hashed(key) {
  const [, prefix, digits] = /^(signkey-\w+-)(\w+)$/.exec(key);
  return prefix + createHash("sha256").update(Buffer.from(digits, "hex")).digest("hex");
}

class world {
  constructor(major, { keys = [], eventKey = "key" } = {}) {
    this.major = major;
    this.keys = keys; // the signing key and its fallback, as the server has them
    this.eventKey = eventKey;
    this.directory = mkdtempSync(path.join(tmpdir(), "caesura-sdk-"));
  }
  async open() {
    await this.serve(0);
    const synced = await this.start_app({ INNGEST_DEV: this.url });
    assert.equal(synced.status, 200, await synced.text());
    return this;
  }
  // Leaves an app that was there before to the caller.
  async start_app(env) {
    const app = [new URL("app.mjs", import.meta.url).pathname, String(this.major)];
    const errors = this.keys.length > 0 ? "ignore" : "inherit"; // the SDK tells each call that is signed with a key that it does not know
    this.app = new child(process.execPath, app, { NODE_NO_WARNINGS: "1", ...env }, errors);
    this.appUrl = `http://127.0.0.1:${JSON.parse(await this.app.line((l) => l.includes("port"))).port}/api/inngest`;
    return fetch(this.appUrl, { method: "PUT" });
  }
  async serve(port, more = []) {
    const [key, fallback] = this.keys;
    const secrets = key ? ["--signing-key", key, "--signing-key-fallback", fallback, "--event-key", this.eventKey] : [];
    this.server = new child(program, ["serve", "--dir", this.directory, "--port", String(port), "--retry-interval", "100ms", ...secrets, ...more]);
    const line = await this.server.line((l) => l.includes("http://"));
    this.port = Number(line.split(":").at(-1));
    this.url = `http://127.0.0.1:${this.port}`;
  }
  async close() {
    await this.app?.end();
    await this.server?.end();
    rmSync(this.directory, { recursive: true, force: true });
  }
  async api(method, where, body) {
    const headers = this.keys.length > 0 ? { authorization: `Bearer ${hashed(this.keys[0])}` } : {};
    const reply = await fetch(this.url + where, { method, headers, body: body && JSON.stringify(body) });
    const text = await reply.text();
    return { status: reply.status, body: text ? JSON.parse(text) : null, headers: reply.headers };
  }
  async send(name, data, more = {}) {
    const sent = await this.api("POST", `/e/${this.eventKey}`, { name, data, ...more });
    assert.equal(sent.status, 200, JSON.stringify(sent.body));
    return sent.body.ids[0];
  }
  async start(name, data, more = {}) {
    const runs = await this.api("GET", `/v1/events/${await this.send(name, data, more)}/runs`);
    return runs.body.data[0].run_id;
  }
  start_all(name, count, data) {
    return Promise.all(Array.from({ length: count }, (_, i) => this.start(name, data(i))));
  }
  did(id, step) {
    return this.app.count("did", `${id}/${step}`);
  }
  async run(id) {
    return (await this.api("GET", `/v1/runs/${id}`)).body.data;
  }
  async until(id, accept, patience = 20_000) {
    const end = Date.now() + patience;
    for (;;) {
      const run = await this.run(id);
      if (accept(run)) return run;
      if (Date.now() > end) assert.fail(`run ${id} stays ${JSON.stringify(run)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  async completed(id) {
    const run = await this.ended(id);
    assert.equal(run.status, "Completed", JSON.stringify(run));
    return run;
  }
  ended(id) {
    return this.until(id, (run) => run.ended_at !== null);
  }
}

for (const major of [4, 3]) {
  test(`SDK v${major}`, async (t) => {
    const w = await new world(major).open();
    const far = new Date(Date.now() + 86_400_000).toISOString();
    const near = () => new Date(Date.now() + 300).toISOString();
    try {
      await t.test("two steps and a result", async () => {
        const run = await w.ended(await w.start("two/steps", {}));
        assert.equal(run.status, "Completed");
        assert.deepEqual(run.output, { sum: 3 });
      });
      await t.test("the page's reminder is pushed at its time", async () => {
        const run = await w.start("tasks/reminder.created", { id: "t-1", remindAt: near() });
        await w.app.told("pushed", "t-1");
        assert.equal((await w.ended(run)).status, "Completed");
      });
      await t.test("a matching event cancels it while it sleeps, another one does not, and whoever cleans up is told", async () => {
        const run = await w.start("tasks/reminder.created", { id: "t-2", remindAt: far });
        await w.until(run, (r) => r.state === "sleeping");
        await w.send("tasks/deleted", { id: "other" });
        assert.equal((await w.run(run)).state, "sleeping");
        await w.send("tasks/deleted", { id: "t-2" });
        assert.equal((await w.run(run)).status, "Cancelled");
        await w.app.told("cleaned", "t-2");
        assert.equal(w.app.count("pushed", "t-2"), 0);
      });
      await t.test("cancelled while a step executes: the step completes, the next one never starts", async () => {
        const run = await w.start("slow/start", { id: "s-1", ms: 400 });
        await w.app.told("executing", "s-1");
        const cancelled = await w.api("DELETE", `/v1/runs/${run}`);
        assert.equal(cancelled.status, 200);
        assert.equal(cancelled.headers.get("x-caesura-outcome"), "cancelling");
        assert.equal((await w.ended(run)).status, "Cancelled");
        assert.equal(w.app.count("next", "s-1"), 0);
      });
      await t.test("parallel steps, loops, waits, children", async () => {
        const [parallel, loop, parent] = [await w.start("parallel/start", {}), await w.start("loop/start", {}), await w.start("parent/start", {})];
        assert.deepEqual((await w.ended(parallel)).output, 3);
        assert.deepEqual((await w.ended(loop)).output, 10);
        assert.deepEqual((await w.ended(parent)).output, 3);
        const waits = await w.start("waits/start", { id: "o-1" });
        await w.until(waits, (r) => r.state === "waiting");
        await w.send("order/paid", { id: "o-1", amount: 7 });
        assert.deepEqual((await w.ended(waits)).output, { amount: 7, late: null });
      });
      await t.test("signals: sent by a step and by a call, one run at a time waits", async () => {
        const first = await w.start("approval/asked", { id: "s-1" });
        await w.until(first, (r) => r.state === "waiting");
        const second = await w.ended(await w.start("approval/asked", { id: "s-1" }));
        assert.equal(second.status, "Failed");
        await w.ended(await w.start("approval/given", { id: "s-1", by: "ann" }));
        assert.deepEqual((await w.ended(first)).output, { answer: { signal: "approval/s-1", data: { by: "ann" } }, late: null });
        const third = await w.start("approval/asked", { id: "s-2" });
        await w.until(third, (r) => r.state === "waiting");
        const sent = await w.api("POST", "/v1/signals", { signal: "approval/s-2", data: 7 });
        assert.equal(sent.body.data.run_id, third);
        assert.deepEqual((await w.ended(third)).output.answer, { signal: "approval/s-2", data: 7 });
        assert.equal((await w.api("POST", "/v1/signals", { signal: "approval/s-2" })).status, 404);
      });
      await t.test("retries, caught errors, and failures", async () => {
        assert.equal((await w.ended(await w.start("retries/start", {}))).output, "at last");
        assert.equal((await w.ended(await w.start("catches/start", {}))).output, "as written");
        assert.equal((await w.ended(await w.start("fails/start", {}))).status, "Failed");
        await w.app.told("failure", "never");
      });
      for (const way of ["optimized", "plain"]) {
        await t.test(`parallel steps, ${way}, finish while another call is out: each is executed once`, async () => {
          const id = (i) => `together-${way}-${i}`;
          const runs = await w.start_all(`together/${way}`, 10, (i) => ({ id: id(i), delays: { a: i, b: (i * 7) % 20, c: (i * 13) % 20 } }));
          for (const [i, run] of runs.entries()) {
            assert.deepEqual((await w.completed(run)).output, ["a", "b", "c"]);
            for (const step of ["a", "b", "c"]) assert.equal(w.did(id(i), step), 1, `${id(i)}/${step}`);
          }
        });
      }
      for (const way of major === 4 ? ["optimized", "plain", "group"] : ["optimized", "plain"]) {
        const waits = way === "optimized" ? "may wait" : "does not wait";
        await t.test(`what follows a parallel step, ${way}, ${waits} for a sleep beside it, and is executed once`, async () => {
          const id = (i) => `chained-${way}-${i}`;
          const runs = await w.start_all(`chained/${way}`, 10, (i) => ({ id: id(i), delays: { a: i, b: (i * 7) % 20 } }));
          for (const [i, run] of runs.entries()) {
            const { output, ended_at } = await w.completed(run);
            assert.deepEqual(output, ["a", "b2", null]);
            for (const step of ["a", "b", "b2"]) assert.equal(w.did(id(i), step), 1, `${id(i)}/${step}`);
            const { at } = JSON.parse(await w.app.told("did", `${id(i)}/b2`));
            const left = Date.parse(ended_at) - at;
            assert.ok(way === "optimized" || left > 1_000, `${id(i)}/b2 was executed ${left} ms before the run ended`);
          }
        });
      }
      await t.test("a parallel step's retry finds that the race is won: the function's end counts", async () => {
        const runs = await w.start_all("race/start", 5, (i) => ({ id: `race-${i}`, delays: { a: i * 5, b: 60 } }));
        for (const run of runs) assert.equal((await w.completed(run)).output, "a");
      });
      await t.test("a parallel step's retry finds that another step has failed: the function's end counts", async () => {
        const runs = await w.start_all("all/start", 5, (i) => ({ id: `all-${i}`, delays: { b: i * 15 } }));
        for (const run of runs) assert.equal((await w.completed(run)).output, "caught");
      });
      for (const [where, inStep] of [["a function", false], ["a step", true]]) {
        await t.test(`what ${where} threw is the failed run's output`, async () => {
          const { name, message, stack } = (await w.ended(await w.start("card/charged", { id: `shown-${inStep}`, inStep }))).output;
          assert.deepEqual({ name, message }, { name: "Error", message: "card refused" });
          assert.match(stack ?? "", /app\.mjs/);
        });
        await t.test(`what ${where} threw is given to onFailure, with stack and cause`, async () => {
          await w.start("card/charged", { id: `told-${inStep}`, inStep });
          const { message, stack, cause, code } = JSON.parse(await w.app.told("refused", `told-${inStep}`));
          // The SDK's StepError has no code.
          assert.deepEqual({ message, cause, code }, { message: "card refused", cause: "no money", code: inStep ? undefined : "E_CARD" });
          assert.match(stack ?? "", /app\.mjs/);
        });
      }
      await t.test("whoever invokes catches the error that the invoked function threw", async () => {
        const name = major === 4 ? "Declined" : "Error"; // v3 sends only names that a prototype has
        assert.deepEqual((await w.completed(await w.start("asks/start", { id: "d-1" }))).output, { name, message: "over the limit" });
      });
      await t.test("invoked by a call, a function that fails tells which event it was", async () => {
        const invoked = await w.api("POST", "/invoke/app-declines", { data: { id: "d-2" } });
        assert.equal((await w.ended(invoked.body.run_id)).status, "Failed");
        assert.equal(JSON.parse(await w.app.told("declined", "d-2")).by, "inngest/function.invoked");
      });
      await t.test("who sent an event is known to functions, conditions, waits and cancel rules", async () => {
        const by = (id) => ({ user: { external_id: id, email: `${id}@example.org` }, v: "2" });
        const [run, other] = [await w.start("owned/start", {}, by("u-1")), await w.start("owned/start", { stays: true }, by("u-2"))];
        for (const id of [run, other]) await w.until(id, (r) => r.state === "waiting");
        for (const id of ["u-1", "u-2"]) await w.send("owned/next", {}, by(id));
        assert.deepEqual((await w.completed(run)).output, { user: by("u-1").user, v: "2", next: by("u-1").user });
        await w.until(other, (r) => r.state === "sleeping");
        await w.send("owned/stop", {}, by("u-1"));
        assert.equal((await w.run(other)).state, "sleeping");
        await w.send("owned/stop", {}, by("u-2"));
        assert.equal((await w.run(other)).status, "Cancelled");
      });
      await t.test("a function sees an event that an SDK sent under the id that the sender was told", async () => {
        const sent = (await w.completed(await w.start("sends/start", { id: "s-1" }))).output.ids[0];
        const { body } = await w.api("GET", `/v1/events/${sent}/runs`);
        assert.equal((await w.completed(body.data[0].run_id)).output, sent);
      });
      if (major === 4) {
        await t.test("a function without a trigger is invoked", async () => {
          const invoked = await w.api("POST", "/invoke/app-only-invoked", { data: { id: "o-1" } });
          assert.deepEqual((await w.completed(invoked.body.run_id)).output, { id: "o-1" });
        });
      }
      await t.test("a failed batch tells all its events", async () => {
        for (const id of ["e-1", "e-2"]) await w.send("batch/start", { id });
        const told = await w.app.line((line) => line.startsWith('{"batch"'));
        assert.equal(JSON.parse(told).batch, "e-1,e-2");
      });
      if (major === 4) {
        await t.test("the function is told the id of its request", async () => {
          assert.match((await w.completed(await w.start("identified/start", {}))).output.requestId ?? "", /./);
        });
      }
      await t.test("a state that is too large for a call is fetched", async () => {
        const run = await w.start("heavy/start", {});
        assert.equal((await w.completed(run)).output, 6_000_000);
        for (const what of ["actions", "batch"]) await w.app.told("fetched", `/v0/runs/${run}/${what}`, 1_000);
      });
      await t.test("paused and held while a step executes: the next one waits until the function is resumed", async () => {
        const run = await w.start("four/steps", { id: "h-1", delays: { 1: 300 } });
        await w.app.told("doing", "h-1/1");
        assert.equal((await w.api("POST", "/v1/functions/app-four-steps/pause", { running: "hold" })).status, 200);
        await w.until(run, (r) => r.state === "held");
        assert.equal(w.did("h-1", "1"), 1);
        assert.equal(w.did("h-1", "2"), 0);
        assert.equal((await w.api("POST", "/v1/functions/app-four-steps/resume", {})).status, 200);
        assert.deepEqual((await w.completed(run)).output, ["1", "2", "3", "4"]);
        for (const step of ["1", "2", "3", "4"]) assert.equal(w.did("h-1", step), 1, step);
      });
      await t.test("bulk: a dry run counts, the window and the expression decide", async () => {
        const runs = [];
        for (const id of ["b-1", "b-2", "b-3"]) runs.push(await w.start("tasks/reminder.created", { id, remindAt: far }));
        for (const run of runs) await w.until(run, (r) => r.state === "sleeping");
        await new Promise((resolve) => setTimeout(resolve, 5));
        const request = { app_id: "app", function_id: "schedule-reminder", started_before: new Date().toISOString(), if: "event.data.id != 'b-2'" };
        const dry = await w.api("POST", "/v1/cancellations", { ...request, dry_run: true });
        assert.equal(dry.body.data.count, 2);
        const made = await w.api("POST", "/v1/cancellations", request);
        assert.equal(made.status, 200, JSON.stringify(made.body));
        assert.equal((await w.ended(runs[0])).status, "Cancelled");
        assert.equal((await w.ended(runs[2])).status, "Cancelled");
        assert.equal((await w.run(runs[1])).state, "sleeping");
        const shown = await w.api("GET", `/v1/cancellations/${made.body.data.id}`);
        assert.equal(shown.body.data.progress.cancelled, 2);
        const again = await w.api("POST", `/v1/runs/${runs[0]}/replay`);
        await w.until(again.body.data.run_id, (r) => r.state === "sleeping");
      });
      await t.test("a paused function starts nothing", async () => {
        assert.equal((await w.api("POST", "/v1/functions/app-two-steps/pause", { reason: "test" })).status, 200);
        assert.equal((await w.run(await w.start("two/steps", {}))).status, "Skipped");
        assert.equal((await w.api("POST", "/v1/functions/app-two-steps/resume", {})).body.data.skipped, 1);
      });
      await t.test("the server is killed and started again: nothing accepted is lost", async () => {
        const sleeping = await w.start("tasks/reminder.created", { id: "k-1", remindAt: new Date(Date.now() + 1_500).toISOString() });
        const executing = await w.start("slow/start", { id: "k-2", ms: 300 });
        await w.app.told("executing", "k-2");
        await w.server.end("SIGKILL");
        await w.serve(w.port);
        assert.equal((await w.ended(sleeping)).status, "Completed");
        assert.equal((await w.ended(executing)).status, "Completed");
        assert.equal(w.app.count("next", "k-2"), 1);
      });
      await t.test("bad requests are told what is wrong", async () => {
        for (const [method, where, body, status, text] of [
          ["GET", "/v1/runs/nonsense", undefined, 400, "Invalid run ID"],
          ["GET", "/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV", undefined, 404, "no run"],
          ["DELETE", "/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV", undefined, 404, "Unable to load function run"],
          ["POST", "/e/key", { name: "inngest/x", data: {} }, 400, "reserved"],
          ["POST", "/e/key", { id: 123, name: "x", data: {} }, 400, "\\bid\\b"],
          ["POST", "/v1/cancellations", {}, 400, "app_id is required"],
          ["POST", "/v1/cancellations", { app_id: "app", function_id: "none", started_before: "2024-01-01T00:00:00Z" }, 404, "function not found"],
          ["POST", "/fn/register", { appName: "x", functions: [{ id: "x-f", triggers: [{ event: "a" }], throttle: { limit: 1 }, steps: { step: { runtime: { url: "http://127.0.0.1:1" } } } }] }, 400, "throttle"],
          ["GET", "/nowhere", undefined, 404, "not part of"],
        ]) {
          const reply = await w.api(method, where, body);
          assert.equal(reply.status, status, where);
          assert.match(reply.body.error, new RegExp(text));
        }
      });
    } finally {
      await w.close();
    }
  });

  // The mode in which apps are deployed: they sign their answers, and answer only calls that are signed.
  test(`SDK v${major}: an app that the server was told of registers, now and when it is there again`, async () => {
    const w = new world(major);
    try {
      await w.serve(0);
      const port = w.port;
      await w.server.end();
      await (await w.start_app({ INNGEST_DEV: w.url }).catch(() => null))?.text(); // its own attempt finds no server
      await w.serve(port, ["--app", w.appUrl, "--app-interval", "50ms"]);
      const is_known = async () => (await w.api("GET", "/v1/functions")).body.data.some((fn) => JSON.stringify(fn).includes("app-two-steps"));
      const end = Date.now() + 20_000;
      while (!(await is_known())) assert.ok(Date.now() < end, "the app has not registered");
      assert.deepEqual((await w.completed(await w.start("two/steps", {}))).output, { sum: 3 });
    } finally {
      await w.close();
    }
  });
  test(`SDK v${major} with keys`, async (t) => {
    const [current, old, other] = ["ab12", "cd34", "ef56"].map((digits) => `signkey-test-${digits.repeat(8)}`);
    const w = new world(major, { keys: [current, old], eventKey: "sends" });
    const start_app_with = (key) => w.start_app({ INNGEST_DEV: "0", INNGEST_BASE_URL: w.url, INNGEST_SIGNING_KEY: key, INNGEST_EVENT_KEY: "sends" });
    const works = async () => {
      const started = [];
      for (const name of ["two/steps", "parallel/start", "parent/start"]) started.push(await w.start(name, {}));
      for (const run of started) assert.equal((await w.ended(run)).status, "Completed");
      const waiting = await w.start("approval/asked", { id: "s-1" });
      await w.until(waiting, (r) => r.state === "waiting");
      await w.ended(await w.start("approval/given", { id: "s-1", by: "ann" })); // the SDK calls the API by itself
      assert.equal((await w.ended(waiting)).status, "Completed");
      const slow = await w.start("slow/start", { id: "s-1", ms: 300 });
      await w.app.told("executing", "s-1");
      await w.send("slow/stop", {});
      assert.equal((await w.ended(slow)).status, "Cancelled");
      assert.equal(w.app.count("next", "s-1"), 0);
    };
    try {
      await w.serve(0);
      await t.test("an app with another key is refused when it registers", async () => {
        const synced = await start_app_with(other);
        assert.equal(synced.status, 401);
        assert.match((await synced.json()).message, /neither the hashed signing key nor its fallback/);
        await w.app.end();
      });
      await t.test("with the key", async () => {
        assert.equal((await start_app_with(current)).status, 200);
        await works();
        await w.app.end();
      });
      await t.test("with the key that is about to be replaced", async () => {
        assert.equal((await start_app_with(old)).status, 200);
        await works();
      });
      await t.test("an app of another key behind a URL that is registered: what it answers is not believed, and it executes nothing", async () => {
        const port = new URL(w.appUrl).port;
        await w.app.end();
        const env = { INNGEST_DEV: "0", INNGEST_BASE_URL: w.url, INNGEST_SIGNING_KEY: other, INNGEST_EVENT_KEY: "sends", APP_PORT: port };
        assert.equal((await w.start_app(env)).status, 401);
        const run = await w.start("slow/start", { id: "s-2", ms: 0 });
        assert.equal((await w.ended(run)).status, "Failed");
        assert.equal(w.app.count("executing", "s-2"), 0);
      });
      await t.test("without a key nobody asks, and without an event key nobody sends", async () => {
        assert.equal((await fetch(`${w.url}/v1/events`)).status, 401);
        assert.equal((await fetch(`${w.url}/v1/events`, { headers: { authorization: `Bearer ${current}` } })).status, 401);
        assert.equal((await fetch(`${w.url}/v1/events`, { headers: { authorization: `Bearer ${hashed(old)}` } })).status, 200);
        assert.equal((await fetch(`${w.url}/e/guessed`, { method: "POST", body: JSON.stringify({ name: "two/steps", data: {} }) })).status, 401);
      });
    } finally {
      await w.close();
    }
  });
}
