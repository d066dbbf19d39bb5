/** Which types live pods work, on Redis. Neighbour: `scripts/hosts.lua.ts` keeps what they say. */
import { encodeSegment } from '../../core/entity.js';
import { type HostedType, type Hosts, MAX_HOST_TEXTS } from '../../core/hosts-port.js';
import type { Channel } from './channel.js';

/** Types in one call: Redis does nothing else meanwhile. */
const TYPES_PER_CALL = 64;

export class RedisHosts implements Hosts {
  constructor(private readonly channel: () => Channel) {}

  announce(types: readonly HostedType[], forMs: number): Promise<readonly (readonly string[])[]> {
    return this.inPages(types, page =>
      this.channel().call('announce', [forMs, MAX_HOST_TEXTS, ...encoded(page)], answer =>
        answer.map(texts => (texts as unknown[]).map(String)),
      ),
    );
  }

  async withdraw(types: readonly HostedType[]): Promise<void> {
    await this.inPages(types, page => this.channel().call('withdraw', encoded(page), () => []));
  }

  areHosted(types: readonly string[]): Promise<readonly boolean[]> {
    return this.inPages(types, page =>
      this.channel().call('areHosted', page.map(encodeSegment), answer => answer.map(one => one === 1)),
    );
  }

  private async inPages<T, R>(all: readonly T[], send: (page: readonly T[]) => Promise<readonly R[]>): Promise<R[]> {
    const answers: R[] = [];
    for (let from = 0; from < all.length; from += TYPES_PER_CALL) {
      answers.push(...(await send(all.slice(from, from + TYPES_PER_CALL))));
    }
    return answers;
  }
}

function encoded(types: readonly HostedType[]): string[] {
  return types.flatMap(([type, text]) => [encodeSegment(type), text]);
}
