/** Pods as processes, their records, and the check of the invariants against these. */
import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redisUrl } from './redis.js';

export interface Run {
  readonly pod: string;
  readonly entityId: string;
  readonly n: number;
  readonly token: bigint;
  readonly start: bigint;
  /** Undefined if the pod was killed meanwhile. */
  end?: bigint;
  /** Whether the handler had been told to stop when it ended. */
  aborted?: boolean;
}

interface Line {
  /** `die`: the pod kills itself. */
  readonly what: 'start' | 'end' | 'die';
  readonly pod: string;
  readonly entityId: string;
  readonly n: number;
  readonly token: string;
  readonly aborted: boolean;
  readonly at: string;
}

export class PodProcesses {
  private readonly folder = mkdtempSync(join(tmpdir(), 'atomic-queues-test-'));
  private readonly live = new Map<string, ChildProcess>();
  private readonly ready = new Set<string>();
  private readonly read = new Map<string, { length: number; readonly lines: Line[] }>();
  /** When each killed pod had died, by the clock that pods record with. */
  readonly deaths = new Map<string, bigint>();
  private names = 0;

  constructor(
    private readonly prefix: string,
    private readonly settings: Readonly<Record<string, string>> = {},
    /** The target of the pods' output: that of the tests, or a file that a test reads. */
    private readonly output: 'inherit' | 'file' = 'inherit',
  ) {}

  /** Pods that have started and not been ended. */
  get workingPods(): string[] {
    return [...this.live.keys()].filter(pod => this.ready.has(pod));
  }

  /** @param settings of this pod, in addition to those of all */
  async start(settings: Readonly<Record<string, string>> = {}): Promise<string> {
    const pod = `pod${++this.names}`;
    const output = this.output === 'file' ? openSync(this.outputFile(pod), 'a') : 'inherit';
    const child = fork('build/test/support/programs/pod.js', {
      env: {
        ...process.env,
        REDIS_URL: redisUrl(),
        KEY_PREFIX: this.prefix,
        POD: pod,
        RECORD: join(this.folder, pod),
        NODE_OPTIONS: '',
        // Pods of one application, and no test processes that share a prefix by mistake.
        JEST_WORKER_ID: '',
        ...this.settings,
        ...settings,
      },
      execArgv: [],
      stdio: ['ignore', output, output, 'ipc'],
    });
    if (typeof output === 'number') closeSync(output);
    this.live.set(pod, child);
    child.once('exit', (_, signal) => {
      this.live.delete(pod);
      if (signal === 'SIGKILL' && !this.deaths.has(pod)) this.deaths.set(pod, process.hrtime.bigint());
    });
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

  /** SIGSTOP: the process stands still, with all that it holds. */
  freeze(pod: string): void {
    this.live.get(pod)?.kill('SIGSTOP');
  }

  /** The wall clock of the process jumps, an hour ahead and an hour behind in turn. */
  jumpClock(pod: string): void {
    this.live.get(pod)?.send('jump');
  }

  /** SIGCONT. */
  thaw(pod: string): void {
    this.live.get(pod)?.kill('SIGCONT');
  }

  /** The output of the pod. */
  outputOf(pod: string): string {
    return readFileSync(this.outputFile(pod), 'utf8');
  }

  /** Its application closes, and nothing ends the process. @returns its exit code; null when it was still running after that time. */
  async leave(pod: string, withinMs = 30_000): Promise<number | null> {
    const child = this.live.get(pod);
    if (!child) throw new Error(`${pod} does not live`);
    this.live.delete(pod);
    const exited = new Promise<number | null>(resolve => child.once('exit', resolve));
    child.send('close');
    const timer = setTimeout(() => child.kill('SIGKILL'), withinMs);
    return exited.finally(() => clearTimeout(timer));
  }

  async close(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    await Promise.all([...this.live.keys()].map(pod => this.end(pod, signal)));
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
        if (line.what === 'die') {
          this.deaths.set(line.pod, BigInt(line.at));
          continue;
        }
        if (line.what === 'end' && run) {
          run.end = BigInt(line.at);
          run.aborted = line.aborted;
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
    // Before the signal: the news of its end may be late in this process.
    if (signal === 'SIGKILL') this.deaths.set(pod, process.hrtime.bigint());
    child.kill(signal);
    await exited;
  }

  private outputFile(pod: string): string {
    return join(this.folder, `${pod}.log`);
  }

  private lines(pod: string): readonly Line[] {
    const file = join(this.folder, pod);
    const read = this.read.get(pod) ?? { length: 0, lines: [] };
    this.read.set(pod, read);
    if (!existsSync(file)) return read.lines;
    const text = readFileSync(file, 'latin1');
    const end = text.lastIndexOf('\n') + 1;
    for (const line of text.slice(read.length, end).split('\n')) if (line !== '') read.lines.push(JSON.parse(line));
    read.length = end;
    return read.lines;
  }
}
