/**
 * Replies to the calls of this pod, on Redis.
 *
 * Owns the fourth connection of a pod, which is opened for the first call that waits. It reads the mailbox: blocking, from its
 * beginning, and what was read is removed with the next call. So nothing is lost with a connection, and a reply that is read
 * twice changes nothing. Neighbour: `lua/reply-mailbox.lua` says what is in the mailbox.
 */
import type { Redis } from 'ioredis';
import { readEnvelope } from '../../core/model/envelope.js';
import { NO_EVENTS } from '../../core/model/events.js';
import { MAX_UNREAD } from '../../core/model/mailbox.js';
import { type Notice, type Reply, readReply, thrownAs, writeReply } from '../../core/model/reply.js';
import type { AddressedReply } from '../../core/model/reply-of.js';
import { StoreUnavailableError } from '../../core/model/store-errors.js';
import { nextTurn } from '../../core/ports/own-timers.js';
import type { AskedJob, FoundJob, Received, Replies } from '../../core/ports/replies.js';
import { REPLY_WAIT_SECONDS } from '../protocol-constants.js';
import { connected } from './connection/connected.js';
import { createConnection, responseOrDrop, watchConnection } from './connection/connection.js';
import type { RedisConnectionOptions } from './connection/options.js';
import type { Rights } from './connection/rights.js';
import type { StoreContext } from './context.js';
import { readRows } from './decode.js';
import { encode } from './lua/generated-wire.js';

export interface RepliesParts {
  readonly redis: RedisConnectionOptions;
  readonly rights: Rights;
}

const NO_ENTRY = '0-0';
const REPLIES_AT_ONCE = 128;
/** Bytes of replies that are handed over, and so parsed, in one turn of the event loop. */
const BYTES_PER_TURN = 256 * 1024;

/** An entry of the stream: its id, and names and values. */
type Entry = readonly [id: string, fields: readonly string[]];

export class RedisReplies implements Replies {
  private redis: Redis | undefined;
  private closed = false;
  /** Entries that were read, and are still in the mailbox. */
  private read: readonly string[] = [];
  /** The removal of the entries read before those. */
  private removed: Promise<unknown> = Promise.resolve();
  /** Entries that were read, and not handed over yet. */
  private rest: readonly Entry[] = [];

  constructor(
    private readonly context: StoreContext,
    private readonly parts: RepliesParts,
  ) {}

  get address(): string {
    return this.context.podId;
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
    const { rights } = this.parts;
    const { keySpace, podId, clock } = this.context;
    const box = keySpace.mailbox(podId);
    const { removed } = this;
    this.removed = Promise.resolve();
    // If Redis refused the removal, the same entries come again at once: this rejects, so that the caller pauses first.
    // guards: replies.readMailbox
    await removed;
    // Sent even if there is nothing to remove: a replica, which may never get new entries, refuses it.
    const removing = redis.xdel(box, ...(this.read.length > 0 ? this.read : [NO_ENTRY]));
    this.removed = rights.heed('XDEL', removing);
    this.removed.catch(() => {});
    this.read = [];
    const reading = redis.xread('COUNT', REPLIES_AT_ONCE, 'BLOCK', 1000 * REPLY_WAIT_SECONDS, 'STREAMS', box, '0');
    const waiting = rights.heed('XREAD', reading);
    const [mailbox] = (await responseOrDrop(redis, waiting, 2000 * REPLY_WAIT_SECONDS, clock)) ?? [];
    return mailbox?.[1] ?? [];
  }

  async *unread(): ReturnType<Replies['unread']> {
    let read: readonly string[] = [];
    for (let seen = 0; seen <= MAX_UNREAD; seen += read.length) {
      const rows = await this.context.channel.call('unread', encode.unread(read), response =>
        readRows(response, 4, row => row),
      );
      if (rows.length === 0) return;
      yield rows.map(([, ...row]) => received(row));
      read = rows.map(([id = '']) => id);
    }
  }

  tell(pod: string, call: string, reply: Reply | Notice): Promise<void> {
    const args = encode.tell({ podId: pod, call, replyKind: reply.kind, text: writeReply(reply) });
    return this.context.channel.call('tell', args, () => {});
  }

  find(jobs: readonly AskedJob[]): Promise<readonly FoundJob[]> {
    const { keySpace } = this.context;
    const args = encode.find(jobs.map(({ entity, jobId, call }) => ({ base: keySpace.of(entity).base, jobId, call })));
    return this.context.channel.call('find', args, response => readRows(response, 5, readFound));
  }

  cancel({ entity, jobId, call }: AskedJob): Promise<boolean> {
    const args = encode.cancel({ ...this.context.keySpace.of(entity), jobId, call });
    return this.context.channel.call('cancel', args, ([was]) => was === '1');
  }

  /** Replies that arrive from now on are not read; they expire with the mailbox. */
  close(): void {
    this.closed = true;
    this.redis?.disconnect();
  }

  private async connection(): Promise<Redis> {
    if (this.closed) throw new StoreUnavailableError('The connection to Redis has been closed.');
    if (!this.redis) {
      this.redis = createConnection(this.parts.redis, 'replies', this.context.podId);
      // It may fail alone, if Redis takes no more connections: replies then come only with the slow poll.
      watchConnection(this.redis, 'replies', this.context.log, NO_EVENTS);
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

/** As `lua/reply-mailbox.lua` reads it; '' if no call waits. */
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
