/** The line that shows how far a run is: drawn over itself in a terminal, and now and then a new line in a log. */

export interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const BAR_WIDTH = 30;
/** The time left is told by the pace of so long: it changes with a kill, and with a warm-up. */
const PACE_MS = 10_000;
/** Between two lines in a log. */
const LOG_EVERY_MS = 5000;
const CLEAR_LINE = '\r\u001b[K';

export class Progress {
  private readonly looks: { readonly at: number; readonly done: number }[];
  private done = 0;
  private drawn = 0;
  private drawnAt: number;

  constructor(
    private readonly title: string,
    private readonly total: number,
    private readonly output: Output = process.stdout,
    private readonly now: () => number = Date.now,
  ) {
    this.drawnAt = this.now();
    this.looks = [{ at: this.drawnAt, done: 0 }];
    this.draw();
  }

  update(done: number): void {
    this.done = done;
    this.looks.push({ at: this.now(), done });
    while (this.now() - (this.looks[1]?.at ?? Number.POSITIVE_INFINITY) >= PACE_MS) this.looks.shift();
    if (this.output.isTTY || this.now() - this.drawnAt >= LOG_EVERY_MS) this.draw();
  }

  /** Something that the reader must not miss; it stays above the bar. */
  announce(text: string): void {
    this.output.write(`${this.output.isTTY ? CLEAR_LINE : ''}${text}\n`);
    if (this.output.isTTY) this.draw();
  }

  stop(): void {
    if (this.output.isTTY) this.output.write('\n');
    else if (this.drawn !== this.done) this.draw();
  }

  private draw(): void {
    this.drawnAt = this.now();
    this.drawn = this.done;
    this.output.write(this.output.isTTY ? `${CLEAR_LINE}${this.line()}` : `${this.line()}\n`);
  }

  private line(): string {
    const share = this.done / this.total;
    const filled = Math.floor(share * BAR_WIDTH);
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
    const percent = `${Math.floor(share * 100)} %`.padStart(5);
    return `${this.title} ${bar} ${percent}  ${this.done}/${this.total} orders done${this.timeLeft()}`;
  }

  private timeLeft(): string {
    const [first = { at: 0, done: 0 }] = this.looks;
    const before = this.done - first.done;
    if (before <= 0 || this.done === this.total) return '';
    const ms = ((this.now() - first.at) / before) * (this.total - this.done);
    return `, about ${Math.ceil(ms / 1000)} s left`;
  }
}
