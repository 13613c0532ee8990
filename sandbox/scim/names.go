package scim

// spelling is a name as people write it and as an address has it.
type spelling struct {
	shown, ascii string
}

// fullName is a person's name.
type fullName struct {
	given, family spelling
	familyFirst   bool
}

func (n fullName) displayed() string {
	if n.familyFirst {
		return n.family.shown + " " + n.given.shown
	}
	return n.given.shown + " " + n.family.shown
}

// naming is where names that go together come from.
type naming struct {
	given, family []spelling
	familyFirst   bool
}

// name draws a name; the names of one person in five, and of everyone of whom
// it is asked, are not ASCII.
func (c *generator) name(otherScript bool) fullName {
	from := plainNames
	if otherScript || c.oneIn(5) {
		from = pick(c.random, otherNames)
	}
	return fullName{
		given:       pick(c.random, from.given),
		family:      pick(c.random, from.family),
		familyFirst: from.familyFirst,
	}
}

var plainNames = naming{
	given: []spelling{
		{"Aisha", "aisha"},
		{"Amara", "amara"},
		{"Ben", "ben"},
		{"Camila", "camila"},
		{"Daniel", "daniel"},
		{"Dmitri", "dmitri"},
		{"Emma", "emma"},
		{"Farid", "farid"},
		{"Grace", "grace"},
		{"Hana", "hana"},
		{"Ibrahim", "ibrahim"},
		{"Ingrid", "ingrid"},
		{"Jean-Luc", "jean-luc"},
		{"Kofi", "kofi"},
		{"Leila", "leila"},
		{"Marta", "marta"},
		{"Mei", "mei"},
		{"Nikhil", "nikhil"},
		{"Olivia", "olivia"},
		{"Priya", "priya"},
		{"Rosa", "rosa"},
		{"Samuel", "samuel"},
		{"Tariq", "tariq"},
		{"Yusuf", "yusuf"},
	},
	family: []spelling{
		{"Achebe", "achebe"},
		{"Andersson", "andersson"},
		{"Banerjee", "banerjee"},
		{"Castellanos", "castellanos"},
		{"Chen", "chen"},
		{"D'Angelo", "dangelo"},
		{"Diallo", "diallo"},
		{"Fischer", "fischer"},
		{"Haddad", "haddad"},
		{"Ito", "ito"},
		{"Johnson", "johnson"},
		{"Kowalski", "kowalski"},
		{"Levy", "levy"},
		{"Mensah", "mensah"},
		{"Moreau", "moreau"},
		{"Novak", "novak"},
		{"O'Brien", "obrien"},
		{"Okafor", "okafor"},
		{"Patel", "patel"},
		{"Rossi", "rossi"},
		{"Silva", "silva"},
		{"Singh", "singh"},
		{"Smith", "smith"},
		{"Smith-Jones", "smith-jones"},
		{"van der Berg", "vanderberg"},
		{"Williams", "williams"},
	},
}

var otherNames = []naming{
	{
		given:  []spelling{{"Łukasz", "lukasz"}, {"Małgorzata", "malgorzata"}, {"Żaneta", "zaneta"}},
		family: []spelling{{"Wójcik", "wojcik"}, {"Żółkiewski", "zolkiewski"}, {"Dąbrowska", "dabrowska"}},
	},
	{
		given:       []spelling{{"花子", "hanako"}, {"健太", "kenta"}, {"さくら", "sakura"}},
		family:      []spelling{{"久保", "kubo"}, {"佐藤", "sato"}, {"渡辺", "watanabe"}},
		familyFirst: true,
	},
	{
		given:  []spelling{{"Søren", "soren"}, {"Åse", "aase"}, {"Jørgen", "jorgen"}},
		family: []spelling{{"Ørsted", "orsted"}, {"Kjær", "kjaer"}, {"Ågård", "aagaard"}},
	},
	{
		given:  []spelling{{"José", "jose"}, {"Íñigo", "inigo"}, {"Begoña", "begona"}},
		family: []spelling{{"Núñez", "nunez"}, {"Peña García", "penagarcia"}, {"Güell", "guell"}},
	},
	{
		given:  []spelling{{"Ελένη", "eleni"}, {"Γιώργος", "giorgos"}, {"Θάλεια", "thaleia"}},
		family: []spelling{{"Παπαδοπούλου", "papadopoulou"}, {"Νικολάου", "nikolaou"}, {"Ξένου", "xenou"}},
	},
	{
		given:  []spelling{{"ليلى", "layla"}, {"يوسف", "yousef"}},
		family: []spelling{{"الحداد", "alhaddad"}, {"منصور", "mansour"}},
	},
	{
		given:       []spelling{{"Thị Hồng", "thihong"}, {"Đức", "duc"}},
		family:      []spelling{{"Nguyễn", "nguyen"}, {"Đặng", "dang"}},
		familyFirst: true,
	},
}
