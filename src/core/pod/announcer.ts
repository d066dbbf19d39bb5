/**
 * Says every two leases which types this pod works and with which handlers. When it starts it reads what others say: pods of one
 * `keyPrefix` run each other's jobs, and other handlers of the same type are another application, or another version of this one.
 *
 * Owns what is said, its bounds, and the warning, once a type. Neighbour: `host-lookup.ts` asks whether any pod works a type.
 */
import type { HandlerTable } from '../handlers/handler-table.js';
import { asLine, quoted } from '../model/error-text.js';
import type { EngineConfig } from '../options/config.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { HostedType } from '../ports/hosts.js';
import type { Log } from '../ports/log.js';
import type { EntityStore } from '../ports/store.js';

export interface AnnouncerParts {
  readonly store: EntityStore;
  readonly config: EngineConfig;
  readonly handlers: HandlerTable;
  readonly clock: Clock;
  readonly log: Log;
  /** Names this process, if a test runner has started it; see {@link EngineParts.testProcess}. */
  readonly testProcess?: string | undefined;
}

const LEASES_BETWEEN = 2;
/** What was said lasts so long. */
const LEASES_SAID = 3;
/**
 * So often a pod that starts compares what others say. Outside of tests it must have heard them each time: the last time is longer
 * after the first than what was said lasts, so they are not the last run of this application, which was killed.
 */
const COMPARISONS = 3;

/** Bounds of one text: names in it, and letters of each. */
const MAX_NAMES = 20;
const MAX_NAME_LENGTH = 64;
const MAX_PROCESS_LENGTH = 128;

/** What a text says. */
interface Said {
  readonly handlers: readonly string[];
  /** How many handlers are not named. */
  readonly more: number;
  /** The test process that says it. */
  readonly process?: string | undefined;
}

export class Announcer {
  private timer: Timer | undefined;
  private stopped = false;
  private own: readonly HostedType[] = [];
  /** Types of which others were reported. */
  private readonly reported = new Set<string>();
  private comparisons = 0;
  /** How often what others say was heard, by type and text. */
  private readonly heard = new Map<string, number>();

  constructor(private readonly parts: AnnouncerParts) {}

  start(): void {
    const { handlers, testProcess } = this.parts;
    this.own = handlers.hostedTypes().map(type => [type, write(handlers.namesOf(type), testProcess)]);
    void this.announce();
  }

  /** This pod works nothing from now on. */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.timer?.cancel();
    // Living pods of the same version say the same text: it runs out with the last of them. That of a test process is its own.
    // guards: announcer.stop
    if (this.parts.testProcess !== undefined) this.parts.store.hosts.withdraw(this.own).catch(() => {});
  }

  private async announce(): Promise<void> {
    const { store, config, clock } = this.parts;
    try {
      const said = await store.hosts.announce(this.own, config.leaseMs * LEASES_SAID);
      if (!this.stopped && this.comparisons++ < COMPARISONS) this.compare(said);
    } catch {
      // The store logs that it is away; what this pod works it says again.
    }
    if (!this.stopped) this.timer = clock.after(config.leaseMs * LEASES_BETWEEN, () => void this.announce());
  }

  private compare(said: readonly (readonly string[])[]): void {
    for (const [index, [type, own]] of this.own.entries()) {
      for (const text of said[index] ?? []) {
        if (text === own) continue;
        const key = `${type} ${text}`;
        const times = (this.heard.get(key) ?? 0) + 1;
        this.heard.set(key, times);
        const other = read(text);
        if (other && !this.reported.has(type) && this.isStranger(other, times)) this.report(type, other);
      }
    }
  }

  private isStranger({ process }: Said, times: number): boolean {
    const { testProcess } = this.parts;
    if (testProcess !== undefined || process !== undefined) return process !== testProcess;
    // guards: announcer.isStranger
    return times === COMPARISONS;
  }

  private report(type: string, { handlers, more, process }: Said): void {
    this.reported.add(type);
    const { testProcess, log } = this.parts;
    const isTest = testProcess !== undefined || process !== undefined;
    const who =
      process === undefined ? 'Another application, or another version of this one,' : `The test process ${process}`;
    const names = [...handlers, ...(more > 0 ? [`and ${more} more`] : [])].join(', ') || 'none';
    const remedy = isTest
      ? 'Give each test process a keyPrefix of its own, with process.pid in it.'
      : 'In a rolling deploy nothing is to be done; else give each application a keyPrefix of its own.';
    log.warn(
      `${who} works entities of type ${quoted(type)} under the same keyPrefix, with the handlers ${names}: each runs jobs that the other enqueues. ${remedy}`,
    );
  }
}

function write(names: readonly string[], testProcess: string | undefined): string {
  const sorted = names.map(name => asLine(name, MAX_NAME_LENGTH)).sort();
  const said: Said = {
    handlers: sorted.slice(0, MAX_NAMES),
    more: Math.max(0, sorted.length - MAX_NAMES),
    process: testProcess && asLine(testProcess, MAX_PROCESS_LENGTH),
  };
  return JSON.stringify(said);
}

/** What another pod has written; nothing where it is damaged. */
function read(text: string): Said | undefined {
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
