/// Rows joined into clusters, directly or through others (union-find).
#[derive(Clone, Debug)]
pub(crate) struct Clusters {
    /// A row of the same cluster, nearer to its first.
    towards: Vec<u32>,
}

impl Clusters {
    /// Each of `rows` alone.
    pub(crate) fn new(rows: usize) -> Self {
        Self {
            towards: (0..rows as u32).collect(),
        }
    }

    /// The first row of the cluster that a row is in.
    pub(crate) fn first(&mut self, row: usize) -> usize {
        let mut at = row as u32;
        loop {
            let next = self.towards[at as usize];
            if next == at {
                return at as usize;
            }
            let after = self.towards[next as usize];
            self.towards[at as usize] = after;
            at = after;
        }
    }

    pub(crate) fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        self.towards[one.max(other)] = one.min(other) as u32;
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
