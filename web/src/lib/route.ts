export type Route =
  | { view: 'incidents'; id?: string }
  | { view: 'executions'; id?: string }
  | { view: 'clusters' }
  | { view: 'learned' }
  | { view: 'patterns' };

export function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#\/?/, '').split('/').filter(Boolean);
  const id = parts[1] === undefined ? undefined : safeDecode(parts[1]);
  switch (parts[0]) {
    case 'executions':
      return id ? { view: 'executions', id } : { view: 'executions' };
    case 'clusters':
      return { view: 'clusters' };
    case 'learned':
      return { view: 'learned' };
    case 'patterns':
      return { view: 'patterns' };
    default:
      return id && parts[0] === 'incidents' ? { view: 'incidents', id } : { view: 'incidents' };
  }
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const incidentLink = (id: string): string => `#/incidents/${encodeURIComponent(id)}`;
export const executionLink = (id: string): string => `#/executions/${encodeURIComponent(id)}`;
