/** Server-sent events from the pieces of a byte stream. EventSource cannot send a bearer token, so the page reads the stream by itself. */
export class EventParser {
  private rest = '';
  private kind = '';
  private data: string[] = [];

  constructor(private readonly emit: (kind: string, data: string) => void) {}

  push(piece: string): void {
    this.rest += piece;
    let from = 0;
    for (;;) {
      const end = this.rest.indexOf('\n', from);
      if (end < 0) break;
      let line = this.rest.slice(from, end);
      if (line.endsWith('\r')) line = line.slice(0, -1);
      this.line(line);
      from = end + 1;
    }
    this.rest = this.rest.slice(from);
  }

  private line(line: string): void {
    if (line === '') {
      if (this.data.length > 0) this.emit(this.kind || 'message', this.data.join('\n'));
      this.kind = '';
      this.data = [];
      return;
    }
    if (line.startsWith(':')) return;
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (field === 'event') this.kind = value;
    else if (field === 'data') this.data.push(value);
  }
}

/** Waiting time before try n (from 0): doubling from half a second to ten, with a random part so that many pages do not return at once. */
export function backoff(tries: number, random: number): number {
  const most = Math.min(10_000, 500 * 2 ** Math.min(tries, 10));
  return most / 2 + (most / 2) * random;
}
