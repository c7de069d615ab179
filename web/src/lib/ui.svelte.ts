/** What the person chose in the table; lives as long as the tab, so that going to another view and back keeps it. */
export const filters = $state({ text: '', cluster: '', state: 'all' });
