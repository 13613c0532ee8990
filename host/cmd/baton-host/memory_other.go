//go:build !linux

package main

// hideMemory does nothing: these systems do not let a process be read without more.
func hideMemory() {}

// keepDescriptors does nothing: plugins are in no sandbox on these systems.
func keepDescriptors() {}
