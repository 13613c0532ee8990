// Package errtext makes errors and the texts of others fit to be shown.
//
// What prints, logs or serves a text calls it: the command line, the supervisor, the
// status page, which has no login, and everything that reports an unknown name. It must
// never change a text that is kept or sent on as data, and Public must never repeat a
// word that came from an app, a plugin or C1.
package errtext
