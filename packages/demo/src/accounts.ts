/** The demo's people. Their passwords are printed on its login pages; nothing behind them is worth protecting. */
export interface Account {
  /** Login name, and the `sub` claim. */
  readonly name: string
  readonly password: string
  readonly fullName: string
}

export const accounts: readonly Account[] = [
  { name: 'ada', password: 'lovelace', fullName: 'Ada Lovelace' },
  { name: 'grace', password: 'hopper', fullName: 'Grace Hopper' },
]

export const findAccount = (name: string): Account | undefined => accounts.find((account) => account.name === name)

export const authenticate = (name: string | null, password: string | null): Account | undefined =>
  accounts.find((account) => account.name === name?.trim().toLowerCase() && account.password === password)
