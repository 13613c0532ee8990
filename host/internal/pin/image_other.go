//go:build !linux

package pin

import "github.com/batonhost/baton-host/host/internal/proc"

// image copies the executable to where no one else can change it.
func (p *Pin) image(program Program, dir string) (*proc.Image, error) { return p.copied(program, dir) }

// Close releases what Open has put into memory: nothing here.
func (*Pin) Close() {}
