/// Rows joined into clusters, directly or through others (union-find).
#[derive(Clone, Debug)]
pub(crate) struct Clusters {
    /// A row of the same cluster, nearer to its first.
    towards: Vec<usize>,
}

impl Clusters {
    /// Each of `rows` alone.
    pub(crate) fn new(rows: usize) -> Self {
        Self {
            towards: (0..rows).collect(),
        }
    }

    /// The first row of the cluster that a row is in.
    pub(crate) fn first(&mut self, row: usize) -> usize {
        let mut at = row;
        while self.towards[at] != at {
            self.towards[at] = self.towards[self.towards[at]];
            at = self.towards[at];
        }
        at
    }

    pub(crate) fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        self.towards[one.max(other)] = one.min(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_through_others_is_joined() {
        let mut clusters = Clusters::new(5);
        clusters.join(4, 2);
        clusters.join(3, 4);
        let firsts: Vec<usize> = (0..5).map(|row| clusters.first(row)).collect();
        assert_eq!(firsts, [0, 1, 2, 2, 2]);
    }
}
