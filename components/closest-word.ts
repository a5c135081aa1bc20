/** More mistakes than one in so many letters make it another word. */
const lettersPerMistake = 3;

/** The word that was probably meant by a misspelt one; undefined where none is near. Upper and lower case are the same. */
export function closestWord(misspelt: string, words: readonly string[]): string | undefined {
  const distances = words.map((word) => [editDistance(misspelt.toLowerCase(), word.toLowerCase()), word] as const);
  const near = distances.filter(([distance, word]) => distance * lettersPerMistake <= Math.max(misspelt.length, word.length));
  return near.sort(([a], [b]) => a - b)[0]?.[1];
}

/** How many letters must be changed, added or left out to make one word of the other (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let index = 0; index < from.length; index++) {
    const next = [index + 1];
    for (let column = 1; column <= to.length; column++) {
      next.push(Math.min(row[column]! + 1, next[column - 1]! + 1, row[column - 1]! + (to[column - 1] === from[index] ? 0 : 1)));
    }
    row = next;
  }
  return row[to.length]!;
}
