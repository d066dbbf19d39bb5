/**
 * Announces every two leases which types this pod works, and with which handlers. After its start the pod also compares what other pods
 * announce. Pods with one `keyPrefix` run each other's jobs, so other handlers of the same type mean another application, or another
 * version of this one.
 *
 * Owns: the text of an announcement, its bounds, and one warning for each type.
 * Neighbours: `host-lookup.ts` asks whether any pod works a type.
 */
import type { HandlerTable } from '../handlers/handler-table.js';
import { asLine, quoted } from '../model/error-text.js';
import type { EngineConfig } from '../options/config.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { HostedType } from '../ports/hosts.js';
import type { Log } from '../ports/log.js';
import type { EntityStore } from '../ports/store.js';

export interface AnnouncerParts {
  readonly store: Pick<EntityStore, 'hosts'>;
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
  readonly clock: Clock;
  readonly log: Log;
  /** Names this process, if a test runner has started it; see {@link EngineParts.testProcess}. */
  readonly testProcess?: string | undefined;
}

/** Time between two announcements, in leases. */
const LEASES_BETWEEN = 2;
/** How long an announcement lasts, in leases. */
const LEASES_ANNOUNCED = 3;
/**
 * Number of comparisons after the start. Outside of tests, only a pod that announced the same text each time is reported. The time
 * between the first and the last comparison is longer than an announcement lasts. So a killed earlier run of this application is not
 * reported.
 */
const COMPARISONS = 3;

/** Bounds of one announcement: the number of names in it, and their lengths. */
const MAX_NAMES = 20;
const MAX_NAME_LENGTH = 64;
const MAX_PROCESS_LENGTH = 128;

/** The content of an announcement for one type. */
interface Announcement {
  readonly handlers: readonly string[];
  /** Number of handlers that are not named. */
  readonly more: number;
  /** The test process that announces, if it is one. */
  readonly process?: string | undefined;
}

export class Announcer {
  private timer: Timer | undefined;
  private stopped = false;
  private own: readonly HostedType[] = [];
  /** Types for which the warning was logged. */
  private readonly reported = new Set<string>();
  private comparisons = 0;
  /** How often each announcement was heard, by type and text. */
  private readonly heard = new Map<string, number>();

  constructor(private readonly parts: AnnouncerParts) {}

  start(): void {
    const { handlers, testProcess } = this.parts;
    this.own = handlers.hostedTypes().map(type => [type, write(handlers.namesOf(type), testProcess)]);
    void this.announce();
  }

  /** This pod works no entities from now on. */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.timer?.cancel();
    // Live pods of the same version announce the same text, so it must stay until the last one ends. A test process has its own text.
    // guards: announcer.stop
    if (this.parts.testProcess !== undefined) this.parts.store.hosts.withdraw(this.own).catch(() => {});
  }

  private async announce(): Promise<void> {
    const { store, config, clock } = this.parts;
    try {
      const announced = await store.hosts.announce(this.own, config.leaseMs * LEASES_ANNOUNCED);
      if (!this.stopped && this.comparisons++ < COMPARISONS) this.compare(announced);
    } catch {
      // The store logs that Redis does not respond. The next announcement repeats this one.
    }
    if (!this.stopped) this.timer = clock.after(config.leaseMs * LEASES_BETWEEN, () => void this.announce());
  }

  private compare(announced: readonly (readonly string[])[]): void {
    for (const [index, [type, own]] of this.own.entries()) {
      for (const text of announced[index] ?? []) {
        if (text === own) continue;
        const key = `${type} ${text}`;
        const times = (this.heard.get(key) ?? 0) + 1;
        this.heard.set(key, times);
        const other = read(text);
        if (other && !this.reported.has(type) && this.isStranger(other, times)) this.report(type, other);
      }
    }
  }

  private isStranger({ process }: Announcement, times: number): boolean {
    const { testProcess } = this.parts;
    if (testProcess !== undefined || process !== undefined) return process !== testProcess;
    // guards: announcer.isStranger
    return times === COMPARISONS;
  }

  private report(type: string, { handlers, more, process }: Announcement): void {
    this.reported.add(type);
    const { testProcess, log } = this.parts;
    const isTest = testProcess !== undefined || process !== undefined;
    const other =
      process === undefined ? 'Another application, or another version of this one,' : `The test process ${process}`;
    const names = [...handlers, ...(more > 0 ? [`and ${more} more`] : [])].join(', ') || 'none';
    const remedy = isTest
      ? 'Give each test process a keyPrefix of its own, with process.pid in it.'
      : 'In a rolling deploy this is expected. Otherwise give each application a keyPrefix of its own.';
    log.warn(
      `${other} works entities of type ${quoted(type)} under the same keyPrefix, with the handlers ${names}. So each of the two runs jobs that the other enqueues. ${remedy}`,
    );
  }
}

function write(names: readonly string[], testProcess: string | undefined): string {
  const sorted = names.map(name => asLine(name, MAX_NAME_LENGTH)).sort();
  const announcement: Announcement = {
    handlers: sorted.slice(0, MAX_NAMES),
    more: Math.max(0, sorted.length - MAX_NAMES),
    process: testProcess && asLine(testProcess, MAX_PROCESS_LENGTH),
  };
  return JSON.stringify(announcement);
}

/** The announcement of another pod; undefined if its text is damaged. */
function read(text: string): Announcement | undefined {
  try {
    const { handlers, more, process } = JSON.parse(text);
    if (!Array.isArray(handlers) || !handlers.every(name => typeof name === 'string')) return undefined;
    return {
      handlers: handlers.slice(0, MAX_NAMES).map(name => asLine(name, MAX_NAME_LENGTH)),
      more: typeof more === 'number' ? more : 0,
      process: typeof process === 'string' ? asLine(process, MAX_PROCESS_LENGTH) : undefined,
    };
  } catch {
    return undefined;
  }
}
