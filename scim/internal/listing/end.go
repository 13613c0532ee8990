package listing

import "fmt"

// Grade is what is known of a list that was read.
type Grade int

const (
	// Proven means that no user is missing, under the assumptions of PROOF.md.
	Proven Grade = iota + 1
	// Unproven means that nothing contradicts that no user is missing, or that the operator
	// accepts it, but the server has not shown it.
	Unproven
)

// String returns the grade's name.
func (g Grade) String() string {
	if g == Proven {
		return "proven"
	}
	return "unproven"
}

// Doubts are why an end is unproven.
type Doubts uint

// The gravest comes first.
const (
	// DoubtHidden means that the total counts users that the list does not have.
	DoubtHidden Doubts = 1 << iota
	// DoubtIgnores means that the same page comes whatever is asked, and no total confirms it.
	DoubtIgnores
	// DoubtTwice means that users are on two pages, in the same way in two readings.
	DoubtTwice
	// DoubtCursor means that pages come by cursor, and no total confirms that none was skipped.
	DoubtCursor
	// DoubtApart means that pages cannot overlap, and no total confirms that they are all.
	DoubtApart
	// DoubtLong means that a page was longer than asked for.
	DoubtLong
	// DoubtTotal means that no total confirms the list.
	DoubtTotal
	// DoubtRound means that the list ends at a size at which servers cut lists.
	DoubtRound
	allDoubts = DoubtHidden | DoubtIgnores | DoubtTwice | DoubtCursor | DoubtApart | DoubtLong | DoubtTotal | DoubtRound
)

// End is how a listing ended.
type End struct {
	Doubts Doubts
	State  State
}

// Grade returns what the end proves.
func (e *End) Grade() Grade {
	if e.Doubts == 0 {
		return Proven
	}
	return Unproven
}

// Reason returns the gravest doubt in one sentence, with {user} and {users} in it for
// what is listed; "" for a proven end.
func (e *End) Reason() string {
	s := e.State
	switch {
	case e.Doubts&DoubtHidden != 0:
		return fmt.Sprintf("the app counts %d {users} and lists %d of them", s.Total, s.Users)
	case e.Doubts&DoubtIgnores != 0:
		return ignores(s)
	case e.Doubts&DoubtTwice != 0:
		return "the app lists {users} on two pages, and no total shows whether others are left out"
	case e.Doubts&DoubtCursor != 0 && s.Signs&SignApart != 0:
		return "the app pages by cursor, and no two readings had the same {users}, so nothing shows whether one was skipped"
	case e.Doubts&DoubtCursor != 0:
		return "the app pages by cursor, and no total shows whether a {user} was skipped"
	case e.Doubts&DoubtApart != 0:
		return "the app's pages cannot overlap, and no total shows whether {users} between them are left out"
	case e.Doubts&DoubtLong != 0:
		return "the app sends longer pages than asked for, and does not show what follows where they should have ended"
	case e.Doubts&DoubtTotal != 0 && s.Users == 0:
		return "the app reports a total of 0, which may count the page that it sends, and does not show that its list begins at startIndex 1"
	case e.Doubts&DoubtTotal != 0 && s.Users == 1 && s.Worth == WorthEqual:
		return "the app reports a total of 1, which may count the page that it sends, and does not show that its list begins at startIndex 1"
	case e.Doubts&DoubtTotal != 0:
		return "no total of the app confirms its list of {users}, and the app does not show that it begins at startIndex 1"
	case e.Doubts&DoubtRound != 0:
		return fmt.Sprintf("the list ends at %d {users}, a size at which apps cut lists, and the app does not sort it to show that nothing follows", s.Users)
	}
	return ""
}

// ignores is the reason where the same page comes whatever is asked for.
func ignores(s State) string {
	listed := fmt.Sprintf("%d {users}", s.Users)
	if s.Users == 1 {
		listed = "{user}"
	}
	if total, known := s.Counted(); known {
		return fmt.Sprintf("the app sends the same %s whatever page is asked for, and its total of %d may count that page", listed, total)
	}
	return fmt.Sprintf("the app sends the same %s whatever page is asked for, and no total that is worth anything", listed)
}

// Kind is what keeps a list from being read.
type Kind int

const (
	// Refused means that the server refuses the request.
	Refused Kind = iota + 1
	// RefusedLast means that it refuses to go on behind the last user, and to repeat it.
	RefusedLast
	// Elsewhere means that a page begins at another index than asked for.
	Elsewhere
	// Repeats means that the same users come again and again, although there are more.
	Repeats
	// Cut means that the same users come again and again, cut to the count.
	Cut
	// Nothing means that there are no users, and no total.
	Nothing
	// Short means that the list has fewer users than the server counts, in every reading.
	Short
	// Circle means that a page names its own cursor as that of the next one.
	Circle
	// Loop means that cursors lead to users that came before.
	Loop
	// Blank means that cursors lead to empty pages for ever.
	Blank
	// Growing means that the total changes for ever.
	Growing
	// Moving means that no reading can be trusted.
	Moving
	// Unlisted means that a probe showed a user that the list does not have.
	Unlisted
)

// Why is the gravest sign of a pass.
type Why int

// The gravest comes first.
const (
	WhyMoved Why = iota + 1
	WhyTwice
	WhyShort
	WhyTotal
	WhyApart
	WhyResumed
)

// Problem is why a list cannot be read: it contradicts itself.
type Problem struct {
	Kind Kind
	// State is where reading had come, Asked the index that was asked for, Start the one
	// that the page declares.
	State        State
	Asked, Start int
	// Why belongs to Moving, Probe to Unlisted.
	Why   Why
	Probe Ask
}

// Error returns the numbers; the words are the caller's.
func (p *Problem) Error() string {
	return fmt.Sprintf("listing: problem %d in pass %d at index %d, after %d users of %d", p.Kind, p.State.Pass, p.Asked, p.State.Users, p.State.Total)
}

func (r Rules) problem(s State, p Problem) error {
	p.State, p.Asked = s, r.Request(s).Start
	return &p
}

func (r Rules) why(s State) Why {
	switch {
	case s.Signs&SignMoved != 0:
		return WhyMoved
	case s.At > s.Users:
		return WhyTwice
	case s.Worth != WorthNone && s.Worth != WorthUnknown && s.Users < s.Total:
		return WhyShort
	case s.Signs&SignTotal != 0:
		return WhyTotal
	case s.Signs&SignApart != 0:
		return WhyApart
	}
	return WhyResumed
}

// Agreed returns how many readings in a row, up to this one, had the same users.
func (s State) Agreed() int {
	if s.Before == s.fingerprint() {
		return s.Alike + 1
	}
	return 1
}
