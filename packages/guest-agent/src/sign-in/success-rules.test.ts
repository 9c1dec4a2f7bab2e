import type { WebsiteProvider } from '@anteroom/contract'
import { describe, expect, test } from 'vitest'
import { type BrowserFacts, SuccessRules } from './success-rules.ts'

const provider = (success: WebsiteProvider['success']): WebsiteProvider => ({
  name: 'site',
  title: 'Site',
  kind: 'website',
  start_url: 'https://app.example.com/login',
  ...(success && { success }),
  capture: { cookies: [], storage: [] },
  egress: { allow: ['*.example.com'] },
})
const cookie = (value: string, domain = 'app.example.com') => ({ name: 'sid', value, domain, path: '/' })
const facts = (cookies: BrowserFacts['cookies'], ...urls: string[]): BrowserFacts => ({ cookies, urls })
const login = 'https://app.example.com/login'
const home = 'https://app.example.com/home'

describe('fresh state', () => {
  test('nothing counts before the person did anything', () => {
    const rules = new SuccessRules(provider({ any: [{ cookie: 'sid' }, { url: `${home}*` }] }))
    expect(rules.holdFreshly(facts([cookie('1')], home))).toBe(false)
    expect(rules.holdFreshly(facts([cookie('2')], login))).toBe(false)
  })

  test('a cookie that every visitor gets counts once it has changed', () => {
    const rules = new SuccessRules(provider({ any: [{ cookie: 'sid' }] }))
    rules.interactionBegins(facts([cookie('anonymous')], login))
    expect(rules.holdFreshly(facts([cookie('anonymous')], login))).toBe(false)
    expect(rules.holdFreshly(facts([cookie('alice')], login))).toBe(true)
  })

  test('a cookie that went and came back counts', () => {
    const rules = new SuccessRules(provider({ any: [{ cookie: 'sid' }] }))
    rules.interactionBegins(facts([cookie('1')], login))
    expect(rules.holdFreshly(facts([], login))).toBe(false)
    expect(rules.holdFreshly(facts([cookie('1')], login))).toBe(true)
  })

  test('a start page that matches counts only after it was left', () => {
    const rules = new SuccessRules(provider({ any: [{ url: `${home}*` }] }))
    rules.interactionBegins(facts([], home))
    expect(rules.holdFreshly(facts([], `${home}#form`))).toBe(true)
    const strict = new SuccessRules(provider({ any: [{ url: home }] }))
    strict.interactionBegins(facts([], home))
    expect(strict.holdFreshly(facts([], home))).toBe(false)
    expect(strict.holdFreshly(facts([], login))).toBe(false)
    expect(strict.holdFreshly(facts([], home))).toBe(true)
  })

  test('only the first interaction decides what was there before', () => {
    const rules = new SuccessRules(provider({ any: [{ cookie: 'sid' }] }))
    rules.interactionBegins(facts([], login))
    rules.interactionBegins(facts([cookie('alice')], login))
    expect(rules.holdFreshly(facts([cookie('alice')], login))).toBe(true)
  })
})

test('any needs one rule, all needs each', () => {
  const both = [{ cookie: 'sid' }, { url: `${home}*` }]
  const any = new SuccessRules(provider({ any: both }))
  const all = new SuccessRules(provider({ all: both }))
  for (const rules of [any, all]) rules.interactionBegins(facts([], login))
  expect(any.holdFreshly(facts([cookie('1')], login))).toBe(true)
  expect(all.holdFreshly(facts([cookie('1')], login))).toBe(false)
  expect(all.holdFreshly(facts([cookie('1')], `${home}?tab=1`))).toBe(true)
})

test('hosts that the definition does not name never count', () => {
  const rules = new SuccessRules(provider({ any: [{ cookie: 'sid' }, { url: 'https://app.example.com*' }] }))
  rules.interactionBegins(facts([], 'about:blank'))
  expect(rules.holdFreshly(facts([cookie('1', '.evil.test')], 'about:blank'))).toBe(false)
  expect(rules.holdFreshly(facts([cookie('1', 'notexample.com')], 'about:blank'))).toBe(false)
  expect(rules.holdFreshly(facts([], 'https://app.example.com.evil.test/'))).toBe(false)
  expect(rules.holdFreshly(facts([cookie('1', '.example.com')], 'about:blank'))).toBe(true)
})

test('without rules nothing ever holds', () => {
  const rules = new SuccessRules(provider(undefined))
  rules.interactionBegins(facts([], login))
  expect(rules.isEmpty).toBe(true)
  expect(rules.holdFreshly(facts([cookie('1')], home))).toBe(false)
})
