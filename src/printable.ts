/** What terminals and viewers of logs obey: control characters, ends of lines, changes of direction. */
const OBEYED = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu

/** The text in one line that shows as what it is: what others may have put into it is escaped as JSON does. */
export const printable = (text: string): string =>
  text.replace(OBEYED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
