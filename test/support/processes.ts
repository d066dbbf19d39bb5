/** Pods as processes, what they recorded, and the check of the invariants against it. */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redisUrl } from './redis.js';

export interface Run {
  readonly pod: string;
  readonly entityId: string;
  readonly n: number;
  readonly token: bigint;
  readonly start: bigint;
  /** Undefined where the pod was killed meanwhile. */
  end?: bigint;
}

interface Line {
  readonly what: 'start' | 'end';
  readonly pod: string;
  readonly entityId: string;
  readonly n: number;
  readonly token: string;
  readonly at: string;
}

export class PodProcesses {
  private readonly folder = mkdtempSync(join(tmpdir(), 'atomic-queues-test-'));
  private readonly live = new Map<string, ChildProcess>();
  private readonly ready = new Set<string>();
  /** When each killed pod had died, by the clock that pods record with. */
  readonly deaths = new Map<string, bigint>();
  private names = 0;

  constructor(
    private readonly prefix: string,
    private readonly settings: Readonly<Record<string, string>> = {},
  ) {}

  /** Pods that have started and not been ended. */
  get workingPods(): string[] {
    return [...this.live.keys()].filter(pod => this.ready.has(pod));
  }

  async start(): Promise<string> {
    const pod = `pod${++this.names}`;
    const child = fork('build/test/support/programs/pod.js', {
      env: {
        ...process.env,
        REDIS_URL: redisUrl(),
        KEY_PREFIX: this.prefix,
        POD: pod,
        RECORD: join(this.folder, pod),
        NODE_OPTIONS: '',
        ...this.settings,
      },
      execArgv: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.live.set(pod, child);
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => {
        this.ready.add(pod);
        resolve();
      });
      child.once('exit', code => reject(new Error(`${pod} ended at start with code ${code}`)));
    });
    return pod;
  }

  /** SIGKILL: no hook runs, no buffer is flushed. */
  kill(pod: string): Promise<void> {
    return this.end(pod, 'SIGKILL');
  }

  /** SIGTERM: Nest's shutdown hooks run. */
  stop(pod: string): Promise<void> {
    return this.end(pod, 'SIGTERM');
  }

  async close(): Promise<void> {
    await Promise.all([...this.live.keys()].map(pod => this.stop(pod)));
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** All runs so far, by their start. */
  runs(): Run[] {
    const runs: Run[] = [];
    for (let name = 1; name <= this.names; name++) {
      const open = new Map<string, Run>();
      for (const line of this.lines(`pod${name}`)) {
        const key = `${line.entityId}#${line.n}`;
        const run = open.get(key);
        if (line.what === 'end' && run) {
          run.end = BigInt(line.at);
          open.delete(key);
        } else {
          const { pod, entityId, n } = line;
          const begun: Run = { pod, entityId, n, token: BigInt(line.token), start: BigInt(line.at) };
          open.set(key, begun);
          runs.push(begun);
        }
      }
    }
    return runs.sort((x, y) => (x.start < y.start ? -1 : 1));
  }

  private async end(pod: string, signal: NodeJS.Signals): Promise<void> {
    const child = this.live.get(pod);
    if (!child) return;
    this.live.delete(pod);
    const exited = new Promise(resolve => child.once('exit', resolve));
    child.kill(signal);
    await exited;
    if (signal === 'SIGKILL') this.deaths.set(pod, process.hrtime.bigint());
  }

  private lines(pod: string): Line[] {
    const file = join(this.folder, pod);
    if (!existsSync(file)) return [];
    const text = readFileSync(file, 'utf8');
    return text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line));
  }
}

/** What the invariants say of a record; every list is empty when they hold. */
export interface Verdict {
  readonly overlaps: string[];
  readonly disorder: string[];
  readonly missing: string[];
  /** Runs of a job that had run to its end, and whose pod was not killed at that moment. */
  readonly wrongReruns: string[];
  readonly fallingTokens: string[];
  readonly reruns: number;
  readonly longestSilenceMs: number;
  readonly pods: string[];
}

/** An end that is this young when its pod is killed may not have reached Redis yet. */
const IN_FLIGHT_NS = 100_000_000n;

export function judge(
  runs: readonly Run[],
  deaths: ReadonlyMap<string, bigint>,
  expected: ReadonlyMap<string, number>,
): Verdict {
  const overlaps: string[] = [];
  const disorder: string[] = [];
  const missing: string[] = [];
  const wrongReruns: string[] = [];
  const fallingTokens: string[] = [];
  let reruns = 0;
  let longest = 0n;
  for (const [entityId, count] of expected) {
    const own = runs.filter(run => run.entityId === entityId);
    const last = new Map<number, Run>();
    const seen: number[] = [];
    for (const [at, run] of own.entries()) {
      const before = own[at - 1];
      const name = `${entityId}#${run.n} on ${run.pod}`;
      if (before) {
        const ended = before.end ?? deaths.get(before.pod) ?? run.start + 1n;
        if (ended > run.start) overlaps.push(`${name} beside #${before.n} on ${before.pod}`);
        if (run.token < before.token) fallingTokens.push(name);
        if (run.start - before.start > longest) longest = run.start - before.start;
      }
      const earlier = last.get(run.n);
      if (earlier) {
        reruns++;
        const death = deaths.get(earlier.pod);
        if (death === undefined || (earlier.end !== undefined && earlier.end < death - IN_FLIGHT_NS))
          wrongReruns.push(name);
      } else seen.push(run.n);
      last.set(run.n, run);
    }
    const inOrder = Array.from({ length: count }, (_, n) => n).filter(n => last.has(n));
    if (String(seen) !== String(inOrder)) disorder.push(`${entityId}: first starts ${seen.slice(0, 50)}`);
    const lastStarts = [...last.values()].sort((x, y) => (x.start < y.start ? -1 : 1)).map(({ n }) => n);
    if (String(lastStarts) !== String(inOrder)) disorder.push(`${entityId}: last starts ${lastStarts.slice(0, 50)}`);
    for (let n = 0; n < count; n++) if (!last.get(n)?.end) missing.push(`${entityId}#${n}`);
  }
  return {
    overlaps,
    disorder,
    missing,
    wrongReruns,
    fallingTokens,
    reruns,
    longestSilenceMs: Math.round(Number(longest) / 1e6),
    pods: [...new Set(runs.map(({ pod }) => pod))].sort(),
  };
}
