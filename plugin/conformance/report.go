package conformance

// Result is what a check came to.
type Result string

// The results of a check.
const (
	Passed Result = "passed"
	Failed Result = "failed"
	// Skipped is a check that could not be tried, and why is in its sentence.
	Skipped Result = "skipped"
)

// Outcome is what became of one check.
type Outcome struct {
	Check  string `json:"check"`
	Result Result `json:"result"`
	// Sentence is what was found. Others' texts in it may hold anything but a
	// secret.
	Sentence string  `json:"sentence"`
	Seconds  float64 `json:"seconds"`
}

// Report is what became of a plugin's checks.
type Report struct {
	// Plugin and Version are as the plugin reports them; empty if it does not.
	Plugin  string    `json:"plugin"`
	Version string    `json:"version"`
	Checks  []Outcome `json:"checks"`
}

// Count is how many checks came to the result.
func (r *Report) Count(result Result) int {
	count := 0
	for _, outcome := range r.Checks {
		if outcome.Result == result {
			count++
		}
	}
	return count
}
