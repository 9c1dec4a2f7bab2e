/** The API's resources by name; their fields are as the API has them. */
import type { components } from './openapi.gen.ts'

type Schemas = components['schemas']

export type Session = Schemas['Session']
export type CreatedSession = Schemas['CreatedSession']
export type SessionEvent = Schemas['SessionEvent']
export type Diagnosis = Schemas['Diagnosis']
export type SessionEgress = Schemas['SessionEgress']
export type SessionLog = Schemas['SessionLog']
export type Ticket = Schemas['Ticket']
export type Viewers = Schemas['Viewers']
export type Connection = Schemas['Connection']
export type Credential = Schemas['Credential']
export type Project = Schemas['Project']
export type Key = Schemas['Key']
export type KeyWithSecret = Schemas['KeyWithSecret']
export type Provider = Schemas['Provider']
export type Machine = Schemas['Machine']
export type Image = Schemas['Image']
export type Pool = Schemas['Pool']
export type DoctorReport = Schemas['DoctorReport']
export type AuditEntry = Schemas['AuditEntry']
export type AuditVerification = Schemas['AuditVerification']
export type VaultRotation = Schemas['VaultRotation']

/** `next_cursor` goes into the next call as `cursor`; null: this was the last page. */
export interface Page<T> {
  readonly items: T[]
  readonly next_cursor: string | null
}
