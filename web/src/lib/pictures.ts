import type { Pattern } from './types';

/** Where the expected window lies on a line from now to a little after it, as shares of the line; nothing for what is over or never said. */
export function timeline(pattern: Pattern, now: number): { from: number; to: number; end: string } | undefined {
  if (!pattern.next_expected) return undefined;
  const from = Date.parse(pattern.next_expected.from);
  const to = Date.parse(pattern.next_expected.to);
  if (!Number.isFinite(from) || !Number.isFinite(to) || to <= now || to < from) return undefined;
  const span = (to - now) * 1.15;
  const hours = span / 3_600_000;
  const end = hours < 2 ? `in ${Math.round(hours * 60)} min` : hours < 48 ? `in ${Math.round(hours)} h` : `in ${Math.round(hours / 24)} days`;
  return { from: Math.max(0, (from - now) / span), to: (to - now) / span, end };
}

/** The 168 counts of a week as shares of the largest; nothing when they are not that. */
export function hourGrid(counts: unknown): { index: number; share: number }[] {
  if (!Array.isArray(counts) || counts.length !== 168 || !counts.every((each) => typeof each === 'number' && each >= 0)) return [];
  const most = Math.max(1, ...(counts as number[]));
  return (counts as number[]).map((count, index) => ({ index, share: count / most }));
}
