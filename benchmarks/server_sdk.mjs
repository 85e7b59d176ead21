// Question: how many two-step functions a second run through the real TypeScript SDK, how long does one alone take, and what do server and app need of the
// processor for each? benchmarks/server_sdk.sh calls it: node server_sdk.mjs APP MAJOR, with CAESURA naming the program and CAESURA_BENCH_DIR the disk.
//
// Workload: `two-steps` of tests/sdk/app.mjs in a Node process of its own, the server as a process of its own, this one sends events: one run at a time, then 100 in
// flight. v4 checkpoints, so a run is one call and one or two requests of the SDK; v3 is called three times. Real syncs. Everything shares the machine's cores.
import { spawn, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import readline from "node:readline";

const [app, major] = process.argv.slice(2);
const alone_runs = 200;
const in_flight = 100;
const seconds = 8;
const ticks = Number(execFileSync("getconf", ["CLK_TCK"]).toString());
const children = [];

function start(command, args, env = {}) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const lines = readline.createInterface({ input: child.stdout });
  const first = new Promise((resolve) => lines.once("line", resolve));
  return { child, first };
}
function processor_us(child) {
  const stat = readFileSync(`/proc/${child.pid}/stat`, "utf8");
  const [user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 13).map(Number);
  return (1e6 * (user + system)) / ticks;
}
// How often a thread of it has waited for something or was displaced.
function switches(child) {
  return readdirSync(`/proc/${child.pid}/task`)
    .map((thread) => readFileSync(`/proc/${child.pid}/task/${thread}/status`, "utf8").matchAll(/ctxt_switches:\s+(\d+)/g))
    .flatMap((found) => [...found].map((one) => Number(one[1])))
    .reduce((sum, count) => sum + count, 0);
}
const percentile = (values, p) => values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(p * values.length))];

const directory = mkdtempSync(path.join(process.env.CAESURA_BENCH_DIR ?? ".", "sdk-"));
try {
  const server = start(process.env.CAESURA, ["serve", "--dir", directory, "--port", "0"]);
  const url = `http://127.0.0.1:${(await server.first).split(":").at(-1)}`;
  const sdk = start(process.execPath, [app, major], { INNGEST_DEV: url, NODE_NO_WARNINGS: "1" });
  const app_url = `http://127.0.0.1:${JSON.parse(await sdk.first).port}`;
  const synced = await fetch(`${app_url}/api/inngest`, { method: "PUT" });
  if (synced.status !== 200) throw new Error(await synced.text());

  const send = async (count) => (await (await fetch(`${url}/e/bench`, { method: "POST", body: JSON.stringify(Array(count).fill({ name: "two/steps", data: {} })) })).json()).ids;
  const data = async (where) => (await (await fetch(url + where)).json()).data;
  const ended = async () => Number(await (await fetch(`${app_url}/ended`)).text()); // asked of the app: what this one wants to know is no cost of a run
  const ended_at_server = async () => Number(/^caesura_runs_ended_total\{[^}]*status="completed"[^}]*\} (\d+)/m.exec(await (await fetch(`${url}/metrics`)).text())?.[1] ?? 0);

  const took = [];
  for (let i = 0; i < alone_runs; i++) {
    const from = performance.now();
    const run = (await data(`/v1/events/${(await send(1))[0]}/runs`))[0].run_id;
    while ((await data(`/v1/runs/${run}`)).status !== "Completed");
    took.push(performance.now() - from);
  }
  console.log(`| one two-step run through SDK v${major} alone, event sent to ended | p50 ${percentile(took, 0.5).toFixed(1)} ms, p99 ${percentile(took, 0.99).toFixed(1)} ms | the app is Node |`);

  let sent = await ended();
  let done = sent;
  let counted;
  const from = performance.now();
  for (;;) {
    done = await ended();
    const now = performance.now();
    if (!counted && now - from > 2000) counted = { done, now, server: processor_us(server.child), app: processor_us(sdk.child), switches: switches(server.child) };
    if (counted && now - counted.now > 1000 * seconds) break;
    if (sent - done < in_flight) {
      const more = in_flight - (sent - done);
      sent += more;
      await send(more);
    } else {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  const runs = done - counted.done;
  const rate = (1000 * runs) / (performance.now() - counted.now);
  const server_us = (processor_us(server.child) - counted.server) / runs;
  const switched = (switches(server.child) - counted.switches) / runs;
  const app_us = (processor_us(sdk.child) - counted.app) / runs;
  for (const give_up = performance.now() + 30_000; (await ended_at_server()) < sent; ) {
    if (performance.now() > give_up) throw new Error(`${sent} runs were started, and ${await ended_at_server()} have ended`);
  }
  console.log(`| two-step runs through SDK v${major} a second, ${in_flight} in flight | ${rate.toFixed(0)} /s | processor a run: server ${server_us.toFixed(0)} µs, app ${app_us.toFixed(0)} µs (goal for the server: 150 µs); ${switched.toFixed(1)} switches of its threads |`);
} finally {
  for (const child of children.toReversed()) {
    child.kill("SIGTERM");
    await new Promise((resolve) => child.once("exit", resolve));
  }
  rmSync(directory, { recursive: true, force: true });
}
