/**
 * `npm run bench`: this library and its peers, on the same workloads in one run; see `--help`.
 *
 * Each run has processes and a Redis of its own. The contenders alternate. Prints medians with their spread.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compare } from './bars.js';
import { type Loss, lossesSince, readBaseline, saveBaseline } from './baseline.js';
import { chart } from './chart.js';
import { CONTENDERS } from './contenders/all.js';
import { markdown } from './markdown.js';
import { tellBars, tellWorkload } from './report.js';
import { isRight, measureAll } from './results.js';
import { SUITES } from './workloads.js';

const HELP = `npm run bench -- [options]
  --quick              few and short workloads, under three minutes
  --growth             how the cost of a job grows: entities, pods, payload, persistence
  --workloads a,b      only those whose name begins with one of these
  --contenders a,b     only those whose name contains one of these
  --runs n             runs of each; the median counts (default 5; quick 3)
  --out folder         folder for the results, as JSON, Markdown and a chart (default build/bench)
  --check              fails if a ratio is more than a quarter lower than in benchmarks/baseline.json
  --save-baseline      lowers the ratios of that file to these, and adds missing ones`;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    growth: { type: 'boolean', default: false },
    workloads: { type: 'string' },
    contenders: { type: 'string' },
    runs: { type: 'string' },
    out: { type: 'string', default: 'build/bench' },
    check: { type: 'boolean', default: false },
    'save-baseline': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(`${HELP}\n`);
  process.exit();
}

const suite = values.quick ? 'quick' : values.growth ? 'growth' : 'peers';
/** The contenders of each suite by default, in addition to this library. */
const PARTICIPANTS = { peers: '', quick: 'worker per entity,hashed,groupmq at 64', growth: 'atomic-queues' };
const TRIES = 3;
const RUNS = { peers: 5, quick: 3, growth: 3 };
const TITLES = { peers: 'This library and its peers', quick: 'The quick suite', growth: 'How the cost of a job grows' };

const wanted = values.workloads?.split(',');
const workloads = SUITES[suite].filter(({ name }) => wanted?.some(start => name.startsWith(start)) ?? true);
const parts = (values.contenders ?? PARTICIPANTS[suite]).split(',');
const contenders = CONTENDERS.filter(({ name }, index) => index === 0 || parts.some(part => name.includes(part)));
const runs = Number(values.runs ?? RUNS[suite]);
const results = await measureAll(workloads, contenders, runs, tellWorkload);
const bars = suite === 'peers' ? compare(results) : [];
tellBars(bars);
if (values['save-baseline']) saveBaseline(results);

mkdirSync(values.out, { recursive: true });
const write = (file: string, text: string) => writeFileSync(join(values.out, file), `${text}\n`);
write(`${suite}.json`, JSON.stringify(results, null, 2));
write(`${suite}.md`, markdown(TITLES[suite], results, bars));
if (suite === 'peers') write('throughput.svg', chart(results, ['hot', 'seed', 'many', 'cold', 'wide', 'deep']));

const wrong = results.rows.filter(row => !isRight(row));
for (const { workload, contender } of wrong) process.stderr.write(`${workload}: ${contender} broke its promise\n`);
const losses = values.check ? await lossesThatStay() : [];
for (const loss of losses) process.stderr.write(`slower than before: ${describe(loss)}\n`);
// A peer that breaks its own promise does not fail the check.
process.exitCode = losses.length > 0 || wrong.some(({ contender }) => contender === results.ours) ? 1 : 0;

/** Other programs on the machine may spoil a run; a real loss shows each time. */
async function lossesThatStay(): Promise<Loss[]> {
  const baseline = readBaseline();
  let losses = lossesSince(baseline, results);
  for (let tries = 1; tries < TRIES && losses.length > 0; tries++) {
    process.stderr.write(`Measuring again, since it seems slower than before: ${losses.map(describe).join(' · ')}\n`);
    const lost = workloads.filter(({ name }) => losses.some(({ workload }) => workload === name));
    const again = lossesSince(baseline, await measureAll(lost, contenders, runs, tellWorkload));
    losses = again.filter(loss =>
      losses.some(({ workload, peer }) => workload === loss.workload && peer === loss.peer),
    );
  }
  return losses;
}

function describe({ workload, peer, was, least, is }: Loss): string {
  return `${workload} / ${peer}: ${is}, was ${was}, at least ${least.toFixed(2)}`;
}
