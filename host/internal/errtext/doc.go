// Package errtext makes errors and foreign texts fit to be shown: printable, with the nearest
// known name, with the limit of the system that was hit, with the entry of the runbook, and,
// where a page has no login, in words of the host alone.
//
// All that prints, logs or serves a text calls it: the command line, the supervisor, the
// status page, and everything that reports an unknown name. It must never change a text that
// is kept or sent on as data, and Public must never repeat a word that came from an app, a
// plugin or C1.
package errtext
