import { describe, expect, it } from 'vitest';
import { hourGrid, timeline } from '../src/lib/pictures';
import type { Pattern } from '../src/lib/types';

const now = Date.parse('2026-01-05T09:00:00Z');
const expected = (from: string, to: string): Pattern => ({ next_expected: { from, to } }) as Pattern;

describe('pictures of patterns', () => {
  it('draw the way to what is expected, and nothing when it is over or never said', () => {
    const line = timeline(expected('2026-01-05T14:00:00Z', '2026-01-05T16:00:00Z'), now)!;
    expect(line.from).toBeCloseTo(5 / (7 * 1.15));
    expect(line.to).toBeCloseTo(1 / 1.15);
    expect(line.end).toBe('in 8 h');
    expect(timeline(expected('2026-01-05T08:00:00Z', '2026-01-05T10:00:00Z'), now)!.from).toBe(0);
    expect(timeline(expected('2026-01-05T07:00:00Z', '2026-01-05T08:00:00Z'), now)).toBeUndefined();
    expect(timeline({} as Pattern, now)).toBeUndefined();
    expect(timeline(expected('soon', 'later'), now)).toBeUndefined();
  });
  it('draw a week of hours from 168 counts only', () => {
    const counts = Array.from({ length: 168 }, (_, hour) => (hour === 30 ? 4 : 1));
    const grid = hourGrid(counts);
    expect(grid).toHaveLength(168);
    expect(grid[30]).toEqual({ index: 30, share: 1 });
    expect(grid[0]!.share).toBe(0.25);
    for (const odd of [undefined, [], [1, 2], 'x', Array.from({ length: 168 }, () => -1)]) expect(hourGrid(odd)).toEqual([]);
  });
});
