/**
 * The record that a walk keeps of one entity, and the invariants of docs/protocol.md as far as the steps of a store show them.
 * Neighbours: `starts.ts` checks what the pods do with their jobs; `snapshot.ts` reads the entity from the store.
 */

import type { Claim } from '../../../src/core/model/claim.js';
import type { Settlement } from '../../../src/core/model/job.js';
import { StaleClaimError } from '../../../src/core/model/job-errors.js';
import { StoreRefusedError } from '../../../src/core/model/store-errors.js';
import type { Unblocking } from '../../../src/core/ports/operator.js';
import { isSame, type Snapshot } from './snapshot.js';

/** How a handler ended, and how many attempts had failed before. */
export interface End {
  readonly n: number;
  readonly kind: Settlement['outcome']['kind'];
  readonly made: number;
  /** Which start of the job it was. */
  readonly attempt: number;
}

/** One step of the store, with the entity before and after it. */
export interface Step {
  readonly podId: string;
  readonly method: 'add' | 'tryClaim' | 'resync' | 'take' | 'finish' | 'giveBack' | 'release';
  /** The claim that guards it. */
  readonly claim?: Claim;
  /** The epoch under which it claims. */
  readonly epoch?: number;
  readonly settled: readonly End[];
  readonly added?: { readonly n: number; readonly jobId: string | undefined };
  readonly before: Snapshot;
  readonly after: Snapshot;
  readonly error?: unknown;
  readonly nowMs: number;
}

/** The reign of one owner: the jobs that it has started and ended under one fencing token. */
export interface Stint {
  readonly token: number;
  readonly podId: string;
  /** An operator has deleted its claim: its pod can't know, and may start what it has fetched. */
  isCut: boolean;
  readonly started: Set<number>;
  /** Ended here, whether or not the store has recorded it. */
  readonly ended: Map<number, End['kind']>;
}

/** Whether the job stays in the queue. */
export function isKept(kind: End['kind']): boolean {
  return kind === 'retrying' || kind === 'blocked';
}

export type Violate = (what: string) => void;

export class EntityChecker {
  /** Jobs in the order in which the store took them. */
  readonly order: number[] = [];
  readonly recorded = new Set<number>();
  readonly stints = new Map<number, Stint>();
  /** How often a job lost its pod while it was the only one fetched. */
  readonly stalls = new Map<number, number>();
  readonly duplicates = new Set<number>();
  /** How many attempts of a job have failed: on a pod, and in the store. */
  readonly tries = new Map<number, { ended: number; recorded: number }>();
  private readonly places = new Map<number, number>();
  private readonly byJobId = new Map<string, number>();
  private readonly jobIds = new Map<number, string>();
  private firstOpen = 0;
  private lastToken = 0;

  constructor(
    readonly word: string,
    private readonly violate: Violate,
  ) {}

  /** Given up by an operator: they fail without running. */
  readonly skipped = new Set<number>();

  unblock(n: number, how: Unblocking): void {
    if (how === 'drop') this.remove(n);
    else if (how === 'skip') this.skipped.add(n);
    else {
      this.tries.delete(n);
      this.stalls.delete(n);
    }
  }

  triesOf(n: number): { ended: number; recorded: number } {
    let tries = this.tries.get(n);
    if (!tries) {
      tries = { ended: 0, recorded: 0 };
      this.tries.set(n, tries);
    }
    return tries;
  }

  place(n: number): number {
    return this.places.get(n) ?? -1;
  }

  /** Jobs that the store took before `n` and has not seen end. */
  *openBefore(n: number): Iterable<number> {
    const end = this.place(n);
    for (let at = this.firstOpen; at < end; at++) {
      const other = this.order[at];
      if (other !== undefined && !this.recorded.has(other)) yield other;
    }
  }

  observe(step: Step): void {
    if (step.added && !step.error) this.checkAdded(step.added, step.after);
    this.checkGuard(step);
    this.checkOwner(step);
    this.checkOrder(step);
    this.checkEnds(step);
    this.checkGivenBack(step);
  }

  /** After the calls of one tick, which are one step for all others. */
  endOfBatch(): void {
    let open: number | undefined;
    while (this.firstOpen < this.order.length && this.recorded.has(this.order[this.firstOpen] ?? -1)) this.firstOpen++;
    for (let at = this.firstOpen; at < this.order.length; at++) {
      const n = this.order[at] ?? -1;
      if (!this.recorded.has(n)) open ??= n;
      else if (open !== undefined && !this.removed.has(n)) {
        this.violate(`I6: job ${n} of ${this.word} is recorded as ended, and ${open} before it is not`);
        return;
      }
    }
  }

  private readonly removed = new Set<number>();

  /** An operator removes a job. */
  remove(n: number): void {
    this.recorded.add(n);
    this.removed.add(n);
    this.forgetId(n);
  }

  private forgetId(n: number): void {
    const id = this.jobIds.get(n);
    if (id !== undefined && this.byJobId.get(id) === n) this.byJobId.delete(id);
  }

  private checkAdded({ n, jobId }: NonNullable<Step['added']>, after: Snapshot): void {
    const isThere = [...after.wait, ...after.active, ...after.delayed].includes(n);
    const known = jobId === undefined ? undefined : this.byJobId.get(jobId);
    if (known !== undefined) {
      this.duplicates.add(n);
      if (isThere) this.violate(`job ${n} of ${this.word} was added beside ${known}, which has its id ${jobId}`);
      return;
    }
    if (!isThere) {
      this.violate(`job ${n} of ${this.word} was added, and is not there`);
      return;
    }
    if (jobId !== undefined) {
      this.byJobId.set(jobId, n);
      this.jobIds.set(n, jobId);
    }
  }

  /** I3: a call under an old claim changes nothing, and its pod learns that. */
  private checkGuard({ podId, method, claim, epoch, settled, before, after, error }: Step): void {
    if (!claim) return;
    const { owner } = before;
    const isCurrent =
      owner?.podId === podId &&
      (method === 'resync' ? owner.epoch >= claim.epoch && owner.epoch < (epoch ?? 0) : owner.epoch === claim.epoch);
    const what = `${method} of ${podId} under token ${claim.token}, epoch ${claim.epoch} of ${this.word}`;
    // I6: an end counts after those of older jobs.
    const overtakes = isCurrent && method === 'finish' && before.active.indexOf(settled[0]?.n ?? -1) > 0;
    const refusal = overtakes ? StoreRefusedError : isCurrent ? undefined : StaleClaimError;
    if (refusal === undefined) {
      if (error) this.violate(`I3: ${what} was refused: ${error}`);
      return;
    }
    if (!(error instanceof refusal)) this.violate(`I3, I6: ${what} was not refused with ${refusal.name}: ${error}`);
    if (!isSame(before, after)) this.violate(`I3, I6: ${what} was refused, and changed something`);
  }

  /** I1 and I4. */
  private checkOwner({ podId, method, epoch, before, after, nowMs }: Step): void {
    const was = before.owner;
    const is = after.owner;
    if (was?.podId === is?.podId && was?.epoch === is?.epoch) return;
    const isLeft = was && was.podId !== is?.podId && was.untilMs > nowMs;
    // A pod gives up its own claim: by a release, or by a newer inspection that finds nothing to do.
    const isGivenUp =
      podId === was?.podId && (method === 'release' || (method === 'tryClaim' && (epoch ?? 0) > was.epoch));
    if (isLeft && !isGivenUp)
      this.violate(`I1: ${method} of ${podId} takes ${this.word} from ${was.podId} before its lease has passed`);
    if (!is) return;
    if (is.podId !== podId) this.violate(`${method} of ${podId} gives ${this.word} to ${is.podId}`);
    const isSameOwner = was?.podId === is.podId;
    if (isSameOwner && is.epoch <= was.epoch)
      this.violate(`I4: ${is.podId} claims ${this.word} with an epoch that is not newer`);
    if (method === 'resync') {
      if (after.token !== before.token) this.violate(`I4: ${this.word} has a new token, and its owner began anew`);
      return;
    }
    if (after.token <= this.lastToken)
      this.violate(`I4: ${this.word} has token ${after.token} after ${this.lastToken}`);
    this.lastToken = after.token;
    this.stints.set(after.token, {
      token: after.token,
      podId,
      isCut: false,
      started: new Set(),
      ended: new Map(),
    });
    const [alone] = before.active;
    if (!isSameOwner && before.active.length === 1 && alone !== undefined)
      this.stalls.set(alone, (this.stalls.get(alone) ?? 0) + 1);
  }

  /** I6: the jobs that wait stand in the order of their adds, and no job of a paused queue is fetched. */
  private checkOrder({ method, podId, before, after, nowMs }: Step): void {
    let last = -1;
    for (const n of [...after.active, ...after.wait]) {
      let place = this.places.get(n);
      if (place === undefined) {
        place = this.order.push(n) - 1;
        this.places.set(n, place);
      }
      if (this.recorded.has(n)) this.violate(`I5: job ${n} of ${this.word} is in the queue again, though it has ended`);
      if (place <= last)
        this.violate(
          `I6: after ${method} of ${podId} the queue of ${this.word} is ${after.active} | ${after.wait}; taken: ${this.order.slice(this.firstOpen)}`,
        );
      last = place;
    }
    const fetches = after.active.some(n => !before.active.includes(n));
    if (after.paused && fetches) this.violate(`${method} of ${podId} fetches of ${this.word}, which is paused`);
    const { hold } = before;
    if (fetches && hold && hold.n === before.wait[0] && hold.untilMs > nowMs)
      this.violate(`race 33: ${method} of ${podId} fetches of ${this.word}, where ${hold.n} waits for its next try`);
  }

  /** Jobs leave the queue only by their end. */
  private checkEnds({ method, podId, settled, before, after, error }: Step): void {
    const left = new Set([...after.wait, ...after.active, ...after.delayed]);
    for (const n of [...before.wait, ...before.active, ...before.delayed]) {
      if (left.has(n)) continue;
      const end = settled.find(settlement => settlement.n === n);
      if (!end || isKept(end.kind)) {
        this.violate(`I5: ${method} of ${podId} loses job ${n} of ${this.word}`);
        continue;
      }
      if (after.failed.includes(n) !== (end.kind === 'failed'))
        this.violate(`job ${n} of ${this.word} ended as ${end.kind}, and is recorded otherwise`);
      this.recorded.add(n);
      if (end.kind === 'completed') this.forgetId(n);
    }
    if (error) return;
    for (const { n, kind, made, attempt } of settled) {
      // If its end was recorded already, and the response lost, it does not count again.
      const isSameStart = before.starts[before.active.indexOf(n)] === attempt;
      if (isKept(kind)) this.triesOf(n).recorded = isSameStart ? made + 1 : this.triesOf(n).recorded;
      else if (!this.recorded.has(n)) this.violate(`${method} of ${podId} does not record the end of job ${n}`);
    }
  }

  /** Races 25 and 28: a job that has ended here is not given back. */
  private checkGivenBack({ method, podId, claim, after, error }: Step): void {
    if (error || !claim || !['resync', 'release', 'giveBack'].includes(method)) return;
    const stint = this.stints.get(Number(claim.token));
    if (!stint || (method === 'release' && after.owner?.podId === podId)) return;
    // Jobs that have started, or whose end is not confirmed, stay when the rest is given back.
    const given = method === 'giveBack' ? after.wait : [...after.active, ...after.wait];
    const back = given.find(n => stint.ended.has(n) || (method === 'giveBack' && stint.started.has(n)));
    if (back !== undefined)
      this.violate(`race 28: ${method} of ${podId} gives back job ${back} of ${this.word}, which has ended there`);
  }
}
