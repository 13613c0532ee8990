//go:build !linux

package cgroup

import "os/exec"

// Group is no group.
type Group struct{}

// Offered returns that there are none.
func Offered() Offer { return Offer{Obstacle: "only Linux has them"} }

// MemoryLimit returns 0: there is no limit.
func MemoryLimit() uint64 { return 0 }

// Sweep does nothing.
func Sweep() {}

// New returns no group.
func New(Limits) *Group { return nil }

// Start starts the command by launch.
func (*Group) Start(cmd *exec.Cmd, launch func(*exec.Cmd) error) error { return launch(cmd) }

// Dir is empty.
func (*Group) Dir() string { return "" }

// Environment adds nothing.
func (*Group) Environment([]string) []string { return nil }

// Kill does nothing.
func (*Group) Kill() {}

// Remove does nothing.
func (*Group) Remove() {}
