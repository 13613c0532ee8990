package discreet

// ofPlugin is an error that is one plugin's.
type ofPlugin interface {
	sayer
	Plugin() string
}

// ByPlugin are the plugins that an error is about, and what can be said of each.
func ByPlugin(err error) map[string]string {
	found := map[string]string{}
	var walk func(error)
	walk = func(err error) {
		var inner []error
		switch err := err.(type) { //nolint:errorlint // The tree is walked here.
		case ofPlugin:
			if _, known := found[err.Plugin()]; !known {
				found[err.Plugin()] = err.Discreet()
			}
			return
		case interface{ Unwrap() []error }:
			inner = err.Unwrap()
		case interface{ Unwrap() error }:
			inner = []error{err.Unwrap()}
		}
		for _, one := range inner {
			walk(one)
		}
	}
	walk(err)
	return found
}
