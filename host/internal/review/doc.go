// Package review keeps the sync of an upload that the change guard refused, shows what it
// would have changed, and keeps what was approved of it.
//
// Package syncrun keeps refused syncs here and looks for approvals; package host shows and
// approves them for the commands. It must never let an approval cover what was not in the
// sync that was reviewed, nor leave a part of a refused sync where all of it is expected.
package review

import "strings"

// Command is the command by which a person reviews what was refused of an upload.
type Command struct {
	// Flags are those by which the command finds it, as a shell reads them; empty: none.
	Flags string
}

// Of returns the command line for an upload.
func (c Command) Of(upload string) string {
	return strings.TrimSuffix("baton-host review "+upload+" "+c.Flags, " ")
}
