//go:build !linux

package supervise

// image copies the executable to where nobody else can change it.
func (p *Pin) image(program Program, dir string) (*Image, error) { return p.copied(program, dir) }
