// Package scaffold writes the module of a new connector, complete and tested.
//
// The command line calls [Write]; what is written is in templates/, which knows
// package plugin, package scim and the SDK as any author does. It must never write
// over what is there, and never leave a module half written.
package scaffold
