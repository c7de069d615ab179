import type { StoryEntry } from './types';
import type { Tone } from './format';

/** The seven stages that every incident goes through, and the kinds of story lines that belong to each. */
export const stages = [
  { name: 'Seen', kinds: ['seen'] },
  { name: 'Diagnosed', kinds: ['diagnosed', 'evidence'] },
  { name: 'Decided', kinds: ['decided', 'not_chosen'] },
  { name: 'Gates', kinds: ['guard', 'approval'] },
  { name: 'Done', kinds: ['done'] },
  { name: 'Verified', kinds: ['verified'] },
  { name: 'Assessed', kinds: ['assessed'] },
] as const;

export function stageOf(kind: string): number {
  return stages.findIndex((stage) => (stage.kinds as readonly string[]).includes(kind));
}

export interface Chapter {
  title: string;
  tone: Tone;
  entries: StoryEntry[];
}

const titles: Record<string, string> = { evidence: 'Evidence', not_chosen: 'Rejected', guard: 'Gate', approval: 'Approval', state: 'State', error: 'Error' };
const tones: Record<string, Tone> = { seen: 'info', diagnosed: 'info', decided: 'busy', guard: 'ask', approval: 'ask', done: 'busy', verified: 'good', assessed: 'good', error: 'bad' };

/** Lines of the same kind in a row are one chapter. */
export function chapters(story: StoryEntry[]): Chapter[] {
  const all: Chapter[] = [];
  let last = '';
  for (const entry of story) {
    if (entry.kind === last) {
      all.at(-1)!.entries.push(entry);
      continue;
    }
    last = entry.kind;
    const stage = stageOf(entry.kind);
    const title = titles[entry.kind] ?? (stage >= 0 ? stages[stage]!.name : entry.kind.replaceAll('_', ' '));
    all.push({ title, tone: tones[entry.kind] ?? 'quiet', entries: [entry] });
  }
  return all;
}

/** Which stages the story has reached. */
export function reached(story: StoryEntry[]): boolean[] {
  const found = new Set(story.map((entry) => stageOf(entry.kind)));
  return stages.map((_, index) => found.has(index));
}
