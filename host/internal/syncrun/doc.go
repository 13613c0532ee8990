// Package syncrun runs one sync of one upload: all its plugins in one file, falling back on
// the baseline where one fails, and guarded against changes that are too large.
//
// Package host calls it for a one-shot sync, and package service for each full sync that C1
// asks for. It must never let a file out in which a plugin's accounts are fewer than the
// plugin or its baseline has, nor use a baseline that is older than allowed.
package syncrun
