package supervise

import "slices"

// mostConcealed is how many texts are concealed at a time: more than there can be
// in what a process has logged last.
const mostConcealed = 100

// Conceal blanks a text from now on in what the plugin logs and in its errors, as
// the secrets of its configuration are: a password that is on its way to it. The
// latest hundred are.
func (p *Plugin) Conceal(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Contains(p.concealed, text) {
		return
	}
	// A new list: the one before is in use.
	kept := p.concealed[max(0, len(p.concealed)+1-mostConcealed):]
	p.concealed = append(slices.Clone(kept), text)
	if p.process != nil {
		p.process.logs.Conceal(p.concealed)
	}
}
