import { untrack } from 'svelte';
import { get } from './api';
import { hub, type Change } from './hub.svelte';

/** One document that is read again whenever the stream tells of a change to it; bursts of changes become one reading. */
export class Watched<T> {
  value = $state.raw<T | undefined>(undefined);
  error = $state('');
  private timer: ReturnType<typeof setTimeout> | undefined;
  private reading = false;
  private again = false;

  constructor(
    private readonly path: string,
    concerns: (change: Change) => boolean,
  ) {
    $effect(() => {
      const stop = hub.subscribe((change) => {
        if (change.kind === 'refresh' || concerns(change)) this.soon();
      });
      untrack(() => void this.read());
      return () => {
        stop();
        clearTimeout(this.timer);
      };
    });
  }

  soon(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      void this.read();
    }, 250);
  }

  async read(): Promise<void> {
    if (this.reading) {
      this.again = true;
      return;
    }
    this.reading = true;
    try {
      this.value = await get<T>(this.path);
      this.error = '';
    } catch (error) {
      this.error = hub.told(error);
    }
    this.reading = false;
    if (this.again) {
      this.again = false;
      this.soon();
    }
  }
}
