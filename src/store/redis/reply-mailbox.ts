/**
 * Answers to jobs that this pod waits for, on Redis.
 *
 * Owns the fourth connection of a pod, which is opened when the first answer is waited for, and reads its mailbox: blocking,
 * from its beginning, and what was read is removed with the next call. So nothing is lost with a connection, and what is read
 * twice says nothing new. Neighbour: `lua/reply-mailbox.lua` says what is in the mailbox.
 */
import type { Redis } from 'ioredis';
import { readEnvelope } from '../../core/model/envelope.js';
import { NO_EVENTS } from '../../core/model/events.js';
import { MAX_UNREAD } from '../../core/model/mailbox.js';
import { type Notice, type Reply, readReply, thrownAs, writeReply } from '../../core/model/reply.js';
import type { AddressedReply } from '../../core/model/reply-of.js';
import { StoreUnavailableError } from '../../core/model/store-errors.js';
import type { Clock } from '../../core/ports/clock.js';
import type { Log } from '../../core/ports/log.js';
import { nextTurn } from '../../core/ports/own-timers.js';
import type { AskedJob, FoundJob, Received, Replies } from '../../core/ports/replies.js';
import type { Channel } from './connection/channel.js';
import { answerOrDrop, connected, createConnection, watchConnection } from './connection/connection.js';
import { type RedisConnectionOptions } from './connection/options.js';
import type { Rights } from './connection/rights.js';
import { readRows } from './decode.js';
import type { KeySpace } from './keys.js';

export interface ReplyMailboxParts {
  readonly redis: RedisConnectionOptions;
  readonly podId: string;
  readonly keySpace: KeySpace;
  readonly clock: Clock;
  readonly log: Log;
  readonly rights: Rights;
  channel(): Channel;
}

/** Seconds that a wait lasts: what a half-open socket swallows is read again no later. */
const WAIT_SECONDS = 5;
const NO_ENTRY = '0-0';
const ANSWERS_AT_ONCE = 128;
/** Bytes of answers that are handed over in one turn of the event loop: they are parsed. */
const BYTES_PER_TURN = 256 * 1024;

/** An entry of the stream: its id, and names and values. */
type Entry = readonly [id: string, fields: readonly string[]];

export class ReplyMailbox implements Replies {
  private redis: Redis | undefined;
  private closed = false;
  /** Entries that were read, and are still there. */
  private read: readonly string[] = [];
  /** Whether those of the time before were removed. */
  private removed: Promise<unknown> = Promise.resolve();
  /** Those of them that were not handed over yet. */
  private rest: readonly Entry[] = [];

  constructor(private readonly parts: ReplyMailboxParts) {}

  get address(): string {
    return this.parts.podId;
  }

  async receive(): ReturnType<Replies['receive']> {
    if (this.rest.length > 0) await nextTurn();
    else {
      this.rest = await this.readMailbox();
      this.read = this.rest.map(([id]) => id);
    }
    const turn = this.rest.slice(0, countOfTurn(this.rest));
    this.rest = this.rest.slice(turn.length);
    return turn.map(([, [, call = '', , kind = '', , text = '']]) => received([call, kind, text]));
  }

  private async readMailbox(): Promise<readonly Entry[]> {
    const redis = await this.connection();
    const { rights, keySpace, podId } = this.parts;
    const box = keySpace.answers(podId);
    const { removed } = this;
    this.removed = Promise.resolve();
    // What Redis would not remove comes again, at once: the caller is to pause first.
    await removed;
    // Also of nothing: a replica, where nothing new may ever come, refuses it.
    const removing = redis.xdel(box, ...(this.read.length > 0 ? this.read : [NO_ENTRY]));
    this.removed = rights.heed('XDEL', removing);
    this.removed.catch(() => {});
    this.read = [];
    const reading = redis.xread('COUNT', ANSWERS_AT_ONCE, 'BLOCK', 1000 * WAIT_SECONDS, 'STREAMS', box, '0');
    const waiting = rights.heed('XREAD', reading);
    const [mailbox] = (await answerOrDrop(redis, waiting, 2000 * WAIT_SECONDS, this.parts.clock)) ?? [];
    return mailbox?.[1] ?? [];
  }

  async *unread(): ReturnType<Replies['unread']> {
    let read: readonly string[] = [];
    for (let seen = 0; seen <= MAX_UNREAD; seen += read.length) {
      const rows = await this.parts.channel().call('unread', read, answer => readRows(answer, 4, row => row));
      if (rows.length === 0) return;
      yield rows.map(([, ...row]) => received(row));
      read = rows.map(([id = '']) => id);
    }
  }

  tell(pod: string, call: string, answer: Reply | Notice): Promise<void> {
    return this.parts.channel().call('tell', [pod, call, answer.kind, writeReply(answer)], () => {});
  }

  find(jobs: readonly AskedJob[]): Promise<readonly FoundJob[]> {
    const args = jobs.flatMap(({ entity, jobId, call }) => [this.parts.keySpace.of(entity).base, jobId, call]);
    return this.parts.channel().call('find', args, answer => readRows(answer, 5, readFound));
  }

  cancel({ entity, jobId, call }: AskedJob): Promise<boolean> {
    const { base, type, id } = this.parts.keySpace.of(entity);
    return this.parts.channel().call('cancel', [base, type, id, jobId, call], ([was]) => was === '1');
  }

  /** What comes from now on is nobody's, and goes when its time is over. */
  close(): void {
    this.closed = true;
    this.redis?.disconnect();
  }

  private async connection(): Promise<Redis> {
    if (this.closed) throw new StoreUnavailableError('The connection to Redis has been closed.');
    if (!this.redis) {
      this.redis = createConnection(this.parts.redis, 'answers', this.parts.podId);
      // It may fail by itself, where Redis takes no more connections: then answers come with the slow question only.
      watchConnection(this.redis, 'answers', this.parts.log, NO_EVENTS);
    }
    await connected(this.redis);
    return this.redis;
  }
}

/** How many entries, at least one, are handed over together. */
function countOfTurn(entries: readonly Entry[]): number {
  let bytes = 0;
  let count = 0;
  while (count < entries.length && bytes < BYTES_PER_TURN) bytes += entries[count++]?.[1][5]?.length ?? 0;
  return count;
}

function received([call = '', kind = '', text = '']: readonly string[]): Received {
  return { call, reply: readReply(kind, text) };
}

/** As `lua/reply-mailbox.lua` reads it; '' where nobody waits. */
export function encodeReply(reply: AddressedReply | undefined): string {
  return reply ? `${reply.pod} ${reply.call} ${reply.kind} ${reply.text ?? ''}` : '';
}

/** Reads `state, own, kind, text, envelope`. */
function readFound([state = '', own, kind = '', text = '', envelope = '']: readonly string[]): FoundJob {
  const { codec } = readEnvelope(envelope);
  const found = { state: state as FoundJob['state'], isOwn: own === '1', codec };
  if (kind === '') return found;
  const reply: Reply =
    kind === 'reason' ? { kind: 'failed', thrown: thrownAs(text) } : { kind: 'completed', value: text };
  return { ...found, reply };
}
