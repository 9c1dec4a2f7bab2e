/** As browsers write it: scheme, host, and a port that is not the usual one. Also asked of what is no address at all. */
export const isOrigin = (text: string): boolean => URL.canParse(text) && new URL(text).origin === text
