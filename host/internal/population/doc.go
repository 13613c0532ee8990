// Package population compares the accounts of a sync file with a list of users from
// elsewhere, a CSV file that a person has exported: who is in one and not in the other.
//
// `baton-host accounts --compare` calls it. It must never pass over an account or a row
// without counting it: whoever has nothing to be compared by is listed as such.
package population
