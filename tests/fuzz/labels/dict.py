labels = {0: 'tench', 1: u'it\'s', 2: "\xe9", # end
}